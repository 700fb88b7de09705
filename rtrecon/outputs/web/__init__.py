"""Faces in a browser: a server of our own and the page that it serves (docs/web.md)."""
