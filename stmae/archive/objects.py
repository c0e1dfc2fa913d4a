"""What the objects of an archive are, by their names: videos, what recorders write beside them, trash, or unknown."""

from __future__ import annotations

import re
from posixpath import splitext
from typing import Literal

from stmae.video.reader import VIDEO_SUFFIXES

Kind = Literal["video", "companion", "trash", "unknown"]

COMPANION_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "png", "gif", "webp", "bmp", "thm"),  # pictures
        *("json", "xml", "txt", "log", "csv", "srt", "vtt", "sub", "idx", "idx2", "db", "sqlite", "ini", "nfo"),
        *("md5", "sha1", "sha256", "m3u8", "mpd", "aac", "mp3", "wav", "m4a"),
    )
)
TRASH_FOLDERS = frozenset(
    {"@eadir", "#recycle", "@recycle", "@recently-snapshot", "$recycle.bin", "lost+found", "system volume information"}
)
"""Folders of storage devices with thumbnails, copies and deleted files, in lower case."""
_TRASH = re.compile(rf"(?:^|/)(?:\.+[^./]|(?:{'|'.join(map(re.escape, sorted(TRASH_FOLDERS)))})(?:/|$))", re.IGNORECASE)
_NAMES = frozenset({"thumbs.db", "desktop.ini"})


def kind_of(path: str) -> Kind:
    """Returns what the object of a path below an archive is.

    Hidden files and folders are trash: storage devices and synchronising programs write copies there.
    """
    folder, _, name = path.rpartition("/")
    if name.startswith(".") or _TRASH.search(folder):
        return "trash"
    suffix = splitext(name)[1].lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "companion" if suffix in COMPANION_SUFFIXES or name.lower() in _NAMES else "unknown"
