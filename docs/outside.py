"""A hook of mkdocs: links to files of the repository that are no pages become their paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_OUTSIDE = re.compile(r"\[(?P<text>[^]]*)\]\(\.\./(?P<path>[^)#]+)[^)]*\)")
ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Raises FileNotFoundError for a path that does not exist: the site would not tell."""

    def named(match: re.Match[str]) -> str:
        if not (ROOT / match["path"]).exists():
            raise FileNotFoundError(f"{page.file.src_uri}: ../{match['path']}: no such file; correct the link")
        text = match["text"]
        return text if match["path"] in text else f"{text} (`{match['path']}`)"

    return _OUTSIDE.sub(named, markdown)
