"""Archive layouts: the camera and the start time that an object's path states.

Three layouts are known and may be mixed: `<camera>/<YYYY-MM-DD>/<HH-MM-SS>.<ext>` (start time in UTC),
`<camera>/<file>`, and `<file>` alone, whose camera is named after the archive's own folder. A camera may be several
folders deep (`site/gate`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath

from stmae.tables import UNDATED
from stmae.video.reader import VIDEO_SUFFIXES


def parse(path: str, archive_name: str) -> tuple[str, str, datetime | None]:
    """Returns camera, date partition (YYYY-MM-DD or UNDATED) and start time (UTC) of a path below the archive.

    `archive_name` is the camera of files that lie in no folder. The start time is None where the path states none.
    """
    *folders, name = path.split("/")
    if not folders or parse_day(folders[-1]) is None:
        return "/".join(folders) or archive_name, UNDATED, None
    *camera, day = folders
    return "/".join(camera) or archive_name, day, _start_time(day, PurePosixPath(name).stem)


def parse_day(text: str) -> datetime | None:
    """Returns the day written as YYYY-MM-DD; None where the text is no day of the calendar."""
    if len(text) != len("YYYY-MM-DD"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None


def is_video(path: str) -> bool:
    """Says whether a path has a video's extension. Hidden files, and files in hidden folders, are no videos."""
    parts = path.split("/")
    return not any(part.startswith(".") for part in parts) and (
        PurePosixPath(parts[-1]).suffix.lower() in VIDEO_SUFFIXES
    )


def _start_time(day: str, stem: str) -> datetime | None:
    if len(stem) != len("HH-MM-SS"):
        return None
    try:
        return datetime.strptime(f"{day} {stem}", "%Y-%m-%d %H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return None
