"""Synthetic heads: one seed makes one head, seen once and shaded several times."""
