"""Archive layouts: the camera and the time that the path of a recording states.

A layout is a name of LAYOUTS, or a pattern (`stmae.archive.pattern`) for the path without its suffix:

    {camera}/%Y/%m/%d/%H%M%S
    {camera}/%Y-%m-%d/{end:%Y-%m-%dT%H-%M-%S} *
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from datetime import UTC, datetime, tzinfo
from posixpath import splitext
from typing import Self
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stmae.archive.pattern import Pattern, PatternError, compiled
from stmae.storage.base import Store
from stmae.tables import UNDATED, camera_name

AUTO = "auto"
"""Each path by the first of the known layouts that it fits."""
LAYOUTS: dict[str, tuple[str, ...]] = {
    "stmae": ("{camera}/%Y-%m-%d/%H-%M-%S",),
    "frigate": ("%Y-%m-%d/%H/{camera}/%M.%S", "recordings/%Y-%m-%d/%H/{camera}/%M.%S"),
    "motioneye": ("{camera}/%Y-%m-%d/%H-%M-%S",),
    "mediamtx": ("{camera}/%Y-%m-%d_%H-%M-%S-%f", "{camera}/%Y-%m-%d_%H-%M-%S"),
    "unifi-protect": (
        "{camera}/%Y-%m-%d/{end:%Y-%m-%dT%H-%M-%S} *",
        "{camera}/%Y-%m-%d/{end:%Y-%m-%dT%H-%M-%S}",
    ),
    "reolink": ("%Y/%m/%d/{camera}_%Y%m%d%H%M%S", "{camera}/%Y/%m/%d/*_%Y%m%d%H%M%S"),
    "dahua": (
        "{camera}/%Y-%m-%d/{camera}/dav/%H/%H.%M.%S-{end:%H.%M.%S}[*",
        "{camera}/%Y-%m-%d/{camera}/dav/%H/%M.%S-{end:%M.%S}[*",
    ),
    "hikvision": (
        "{camera}/*_%Y%m%d%H%M%S%f_*",
        "{camera}/*_%Y%m%d%H%M%S",
        "{camera}_%Y%m%d%H%M%S%f_*",
        "{camera}_%Y%m%d%H%M%S",
    ),
    "synology": ("{camera}/%Y%m%d*/*-%Y%m%d-%H%M%S-*", "{camera}/%Y%m%d*/*-%Y%m%d-%H%M%S"),
    "axis": ("{camera}/%Y%m%d/%H/*/%Y%m%d_%H/%Y%m%d_%H%M%S_*",),
    "blue-iris": ("{camera}.%Y%m%d_%H%M%S", "{camera}/*.%Y%m%d_%H%M%S"),
    "shinobi": ("{camera}/%Y-%m-%dT%H-%M-%S",),
}
"""Patterns by the name of the recorder. Earlier ones come first where a path fits several."""
IN_UTC = frozenset({"stmae", "frigate"})
"""Layouts of recorders that write UTC whatever the clock on the wall says."""


class LayoutError(ValueError):
    """A layout or a time zone that cannot be used; the message names it and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """What a path states."""

    camera: str
    date: str
    """Day of the start, UTC, as YYYY-MM-DD; where the time is unknown, the day in the path, or tables.UNDATED."""
    start: datetime | None = None
    """UTC."""
    end: datetime | None = None
    """UTC. Of a path that states the end alone, the start is this less the length of the video."""
    layout: str | None = None
    """Name or pattern that the path fits."""
    doubt: str | None = None
    """Why the time may be another, for people."""


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Reads the paths of an archive.

    `name` is AUTO, a name of LAYOUTS, or a pattern; `zone` is the IANA time zone of wall times; `archive` is the name
    of the archive itself, the camera of files that lie in no folder. Raises LayoutError.
    """

    name: str = AUTO
    zone: str = "UTC"
    archive: str = "archive"

    def __post_init__(self) -> None:
        _candidates(self.name, self.zone)

    @classmethod
    def of(cls, archive: Store, name: str, zone: str) -> Self:
        """Returns the layout of an archive, whose last folder names it."""
        return cls(name, zone, unquote(archive.root.rstrip("/").rpartition("/")[2]) or "archive")

    def place(self, path: str) -> Place:
        """Returns what a path states. A path that fits no pattern has the camera that its folders name, and no time."""
        stem, _ = splitext(path)
        for name, zone, pattern in _candidates(self.name, self.zone):
            told = pattern.read(stem, zone)
            if told is not None:
                day = sys.intern(str(told.start or told.end)[: len("YYYY-MM-DD")])  # millions of paths, few days
                return Place(camera_name(told.camera or self.archive), day, told.start, told.end, name, told.doubt)
        *folders, _ = path.split("/")
        day = folders.pop() if folders and parse_day(folders[-1]) is not None else UNDATED
        return Place(camera_name("/".join(folders) or self.archive), day)


@functools.cache
def _candidates(layout: str, zone: str) -> list[tuple[str, tzinfo, Pattern]]:
    """Returns name, time zone and pattern of the layouts that are tried, in order. Raises LayoutError."""
    local = _zone(zone)
    if layout != AUTO and layout not in LAYOUTS:
        try:
            return [(layout, local, compiled(layout))]
        except PatternError as error:
            known = f"{', '.join(LAYOUTS)}, or a pattern such as {{camera}}/%Y/%m/%d/%H%M%S"
            raise LayoutError(f"layout {layout!r}: {error}; one of {known}") from None
    names = LAYOUTS if layout == AUTO else [layout]
    # What fits a recorder in local time fits "stmae" too; in another zone than UTC only the former is meant.
    skipped = {"stmae"} if layout == AUTO and zone != "UTC" else set()
    return [
        (name, UTC if name in IN_UTC else local, compiled(pattern))
        for name in names
        if name not in skipped
        for pattern in LAYOUTS[name]
    ]


@functools.cache
def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LayoutError(f"time zone {name!r}: no such zone; give an IANA name, e.g. Europe/Berlin") from None


def parse_day(text: str) -> datetime | None:
    """Returns the day written as YYYY-MM-DD; None where the text is no day of the calendar."""
    if len(text) != len("YYYY-MM-DD"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None
