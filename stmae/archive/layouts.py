"""Archive layouts: the camera and the time that the path of a recording states.

A layout is a pattern for the path without its suffix. `{camera}` is the camera (between slashes it may be several
folders deep; of several, all together are the camera), `%Y %m %d %H %M %S %f` are parts of the start, `{end:...}` holds
parts of the end, `%s` are seconds since 1970, `%z` is an offset from UTC, and `*` is anything but a slash:

    {camera}/%Y/%m/%d/%H%M%S
    {camera}/%Y-%m-%d/{end:%Y-%m-%dT%H-%M-%S} *
"""

from __future__ import annotations

import dataclasses
import functools
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from posixpath import splitext
from typing import Self
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_TOKEN = re.compile(r"\{camera\}|\{end:([^{}]*)\}|%([a-zA-Z%])|\*|[^%*{]+|.", re.DOTALL)


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
        _zone(self.zone)
        for _, _, pattern in _candidates(self.name, self.zone):
            _compiled(pattern)

    @classmethod
    def of(cls, archive: Store, name: str, zone: str) -> Self:
        """Returns the layout of an archive, whose last folder names it."""
        return cls(name, zone, unquote(archive.root.rstrip("/").rpartition("/")[2]) or "archive")

    def place(self, path: str) -> Place:
        """Returns what a path states. A path that fits no pattern has the camera that its folders name, and no time."""
        stem, _ = splitext(path)
        for name, zone, pattern in _candidates(self.name, self.zone):
            match = _compiled(pattern).match(stem)
            found = _read(match, zone, self.zone) if match is not None else None
            if found is not None:
                camera, start, end, doubt = found
                told = start or end
                assert told is not None
                return Place(camera_name(camera or self.archive), told.date().isoformat(), start, end, name, doubt)
        *folders, _ = path.split("/")
        day = folders.pop() if folders and parse_day(folders[-1]) is not None else None
        camera = "/".join(folders)
        return Place(camera_name(camera or self.archive), day or UNDATED)


@functools.cache
def _candidates(layout: str, zone: str) -> list[tuple[str, tzinfo, str]]:
    """Returns name, time zone and pattern of the layouts that are tried, in order."""
    local = _zone(zone)
    if layout != AUTO and layout not in LAYOUTS:
        return [(layout, local, layout)]
    names = LAYOUTS if layout == AUTO else [layout]
    # What fits a recorder in local time fits "stmae" too; in another zone than UTC only the former is meant.
    skipped = {"stmae"} if layout == AUTO and zone != "UTC" else set()
    return [
        (name, UTC if name in IN_UTC else local, pattern)
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


@dataclasses.dataclass(frozen=True, slots=True)
class _Pattern:
    expression: re.Pattern[str]
    groups: dict[str, list[str]]
    """Directive -> names of its groups; those of the end begin with "end"."""

    def match(self, stem: str) -> dict[str, str] | None:
        """Returns what each directive matched; None where the path does not fit, or two of one kind differ."""
        found = self.expression.fullmatch(stem)
        if found is None:
            return None
        values: dict[str, str] = {}
        for directive, names in self.groups.items():
            first, *others = found.group(*names) if len(names) > 1 else (found[names[0]],)
            if directive == "camera":
                values[directive] = "/".join([first, *others])
            elif any(other != first for other in others):
                return None
            else:
                values[directive] = first
        return values


@functools.cache
def _compiled(pattern: str) -> _Pattern:
    """Compiles a pattern. Raises LayoutError."""
    known = f"{', '.join(LAYOUTS)}, or a pattern such as {{camera}}/%Y/%m/%d/%H%M%S"
    groups: dict[str, list[str]] = {}
    expression = _expression(pattern, pattern, "", groups)
    times = [name for name in groups if name != "camera"]
    if not times:
        raise LayoutError(f"layout {pattern!r}: states no time; one of {known}")
    return _Pattern(re.compile(expression), groups)


def _expression(pattern: str, whole: str, prefix: str, groups: dict[str, list[str]]) -> str:
    text, position = "", 0
    for token in _TOKEN.finditer(pattern):
        part, directive = token[0], token[2]
        position = token.end()
        if part == "{camera}":
            alone = pattern[token.start() - 1 : token.start()] in ("", "/") and pattern[position : position + 1] == "/"
            text += _group("camera", r".+" if alone else r"[^/]+", groups)
        elif token[1] is not None:
            text += _expression(token[1], whole, "end", groups)
        elif directive in _DIGITS:
            text += _group(prefix + directive, rf"\d{{{_DIGITS[directive]}}}", groups)
        elif directive == "f":
            text += _group(prefix + "f", r"\d{1,9}", groups)
        elif directive == "s":
            text += _group(prefix + "s", r"\d{10}", groups)
        elif directive == "z":
            text += _group(prefix + "z", r"Z|[+-]\d{2}:?\d{2}", groups)
        elif part == "*":
            text += r"[^/]*"
        elif directive is not None or part in "{}":
            raise LayoutError(
                f"layout {whole!r}: {part!r} is not understood; {{camera}}, {{end:...}}, %Y%m%d%H%M%S%f%s%z"
            )
        else:
            text += re.escape(part)
    return text


def _group(directive: str, expression: str, groups: dict[str, list[str]]) -> str:
    name = f"{directive}{len(groups.setdefault(directive, []))}"
    groups[directive].append(name)
    return f"(?P<{name}>{expression})"


def _read(
    values: dict[str, str] | None, zone: tzinfo, zone_name: str
) -> tuple[str, datetime | None, datetime | None, str | None] | None:
    """Returns camera, start, end and doubt; None where the digits are no time of the calendar."""
    if values is None:
        return None
    camera = values.pop("camera", "")
    of_end = {key.removeprefix("end"): value for key, value in values.items() if key.startswith("end")}
    of_start = {key: value for key, value in values.items() if not key.startswith("end")}
    try:
        start, doubt = _moment(of_start, zone, zone_name) if of_start.keys() & {"H", "s"} else (None, None)
        # The end lacks what it shares with the start, e.g. the day.
        end, end_doubt = _moment(of_start | of_end, zone, zone_name) if of_end else (None, None)
    except (ValueError, OverflowError):
        return None
    if start is None and end is None:
        return None
    if start is not None and end is not None and end < start:
        end += timedelta(days=1)
    return camera, start, end, doubt or end_doubt


def _moment(values: dict[str, str], zone: tzinfo, zone_name: str) -> tuple[datetime, str | None]:
    """Returns the UTC time of what directives matched, and what is doubtful of it. Raises ValueError."""
    fraction = timedelta(microseconds=int(values.get("f", "0").ljust(6, "0")[:6]))
    if "s" in values:
        return datetime.fromtimestamp(int(values["s"]), UTC) + fraction, None
    if not {"Y", "m", "d"} <= values.keys():
        raise ValueError("no day")
    year, month, day, hour, minute, second = (int(values.get(key, "0")) for key in "YmdHMS")
    local = datetime(year, month, day, hour, minute, second) + fraction
    if "z" in values:
        return local.replace(tzinfo=_offset(values["z"])).astimezone(UTC), None
    if zone is UTC:
        return local.replace(tzinfo=UTC), None
    first, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    doubt = None
    if first.astimezone(zone).replace(tzinfo=None) != local:
        doubt = f"{local} does not exist in {zone_name}: the clock was put forward"
    elif first != later:
        doubt = f"{local} occurs twice in {zone_name}: taken for the first"
    return first, doubt


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def parse_day(text: str) -> datetime | None:
    """Returns the day written as YYYY-MM-DD; None where the text is no day of the calendar."""
    if len(text) != len("YYYY-MM-DD"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None
