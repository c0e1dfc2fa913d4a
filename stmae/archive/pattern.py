"""Patterns of paths: what `{camera}/%Y/%m/%d/%H%M%S` reads from the path of a recording.

`{camera}` is the camera (between slashes it may be several folders deep; of several, all together are the camera),
`%Y %m %d %H %M %S %f` are parts of the start, `{end:...}` holds parts of the end, `%s` are seconds since 1970, `%z` is
an offset from UTC, and `*` is anything but a slash. A part that occurs twice must be the same both times.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

_PARTS = {
    "Y": r"\d{4}",
    **dict.fromkeys("mdHMS", r"\d{2}"),
    "f": r"\d{1,9}",
    "s": r"\d{10}",
    "z": r"Z|[+-]\d{2}:?\d{2}",
}
_TOKEN = re.compile(r"\{camera\}|\{end:([^{}]*)\}|%([a-zA-Z%])|\*|[^%*{]+|.", re.DOTALL)


class PatternError(ValueError):
    """Text that is no pattern; the message says why."""


class Told(NamedTuple):
    """What a path tells."""

    camera: str
    """Empty where it tells none."""
    start: datetime | None
    """UTC."""
    end: datetime | None
    doubt: str | None
    """Why the time may be another, for people."""


class Pattern:
    """A compiled pattern. Raises PatternError."""

    def __init__(self, text: str) -> None:
        self._names: set[str] = set()
        self._cameras: list[str] = []
        self._expression = re.compile(self._compile(text, ""))
        self._starts = not self._names.isdisjoint(("H", "s"))
        self._ends = not self._names.isdisjoint(("endH", "endM", "endS", "ends"))
        if not self._starts and not self._ends:
            raise PatternError("states no time")
        if not (self._names & {"s", "ends"} or all({part, f"end{part}"} & self._names for part in "Ymd")):
            raise PatternError("states no day")

    def _compile(self, pattern: str, prefix: str) -> str:
        """Returns the regular expression of a pattern, or of its `{end:...}`; enters what it names."""
        text = ""
        for token in _TOKEN.finditer(pattern):
            part, directive = token[0], token[2]
            if part == "{camera}":
                after = pattern[token.end() : token.end() + 1]
                alone = pattern[token.start() - 1 : token.start()] in ("", "/") and after == "/"
                self._cameras.append(f"camera{len(self._cameras)}")
                text += f"(?P<{self._cameras[-1]}>{'.+' if alone else '[^/]+'})"
            elif token[1] is not None:
                text += self._compile(token[1], "end")
            elif directive in _PARTS:
                name = prefix + directive
                text += f"(?P={name})" if name in self._names else f"(?P<{name}>{_PARTS[directive]})"
                self._names.add(name)
            elif part == "*":
                text += r"[^/]*"
            elif directive is not None or part in "{}":
                raise PatternError(f"{part!r} is not understood; {{camera}}, {{end:...}}, %Y%m%d%H%M%S%f%s%z, * are")
            else:
                text += re.escape(part)
        return text

    def read(self, stem: str, zone: tzinfo) -> Told | None:
        """Returns what a path without its suffix tells; None where it does not fit or tells no time of the calendar.

        `zone` is that of wall times without an offset.
        """
        found = self._expression.fullmatch(stem)
        if found is None:
            return None
        parts: dict[str, str] = found.groupdict()
        start = end = doubt = later_doubt = None
        try:
            if self._starts:
                start, doubt = _moment(parts, zone)
            if self._ends:  # it lacks what it shares with the start, e.g. the day
                own = {name.removeprefix("end"): value for name, value in parts.items() if name.startswith("end")}
                end, later_doubt = _moment(parts | own, zone)
        except (ValueError, OverflowError):
            return None
        if start is not None and end is not None and end < start:
            end += timedelta(days=1)
        return Told("/".join(parts[name] for name in self._cameras), start, end, doubt or later_doubt)


@functools.cache
def compiled(text: str) -> Pattern:
    """Returns the pattern of a text. Raises PatternError."""
    return Pattern(text)


def _moment(parts: dict[str, str], zone: tzinfo) -> tuple[datetime, str | None]:
    """Returns the UTC time of the parts, and what is doubtful of it. Raises ValueError."""
    microsecond = int(parts["f"].ljust(6, "0")[:6]) if "f" in parts else 0
    if "s" in parts:
        return datetime.fromtimestamp(int(parts["s"]), UTC).replace(microsecond=microsecond), None
    get = parts.get
    moment = datetime(
        int(parts["Y"]),
        int(parts["m"]),
        int(parts["d"]),
        int(get("H", 0)),
        int(get("M", 0)),
        int(get("S", 0)),
        microsecond,
        UTC,
    )
    if "z" in parts:
        return moment.replace(tzinfo=_offset(parts["z"])).astimezone(UTC), None
    return (moment, None) if zone is UTC else _from_wall(moment.replace(tzinfo=None), zone)


def _from_wall(local: datetime, zone: tzinfo) -> tuple[datetime, str | None]:
    """Returns the UTC time of a clock on the wall, and what is doubtful where clocks are changed."""
    first, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == later:
        return first, None
    if first.astimezone(zone).replace(tzinfo=None) != local:
        return first, f"{local} does not exist in {zone}: the clock was put forward"
    return first, f"{local} occurs twice in {zone}: taken for the first"


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
