"""A hook of mkdocs: links from the docs to files that are no pages of the site.

On a forge they lead to the file. On the site they lead to the repository, where ``repo_url`` of
mkdocs.yml names one, and are the file's path otherwise.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>\.\./[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """``markdown`` of one page with its links out of the docs' folder made anew."""
    folder = posixpath.dirname(page.file.src_uri)

    def anew(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", folder, match["target"]))
        if path == "docs" or path.startswith("docs/"):
            return match[0]
        if config.get("repo_url"):
            return f"[{match['text']}]({config['repo_url'].rstrip('/')}/blob/main/{path})"
        text = match["text"].strip("`")
        return f"`{path}`" if path.endswith(text) else f"{match['text']} (`{path}`)"

    return _LINK.sub(anew, markdown)
