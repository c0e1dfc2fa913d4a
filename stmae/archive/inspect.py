"""What an archive's names say before anything is scored: its layout, cameras and times, and what fits no layout."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath

from stmae.archive.layouts import AUTO, Layout, LayoutError, Place
from stmae.archive.objects import kind_of
from stmae.storage.base import Store
from stmae.tables import utf8

SAMPLES = 200
"""So many of the paths that fit no known layout are tried as the model of a pattern."""
EXAMPLES = 5
WORDS = {
    "video": ("video", "videos"),
    "companion": ("file beside videos", "files beside videos"),
    "trash": ("copy or deleted file", "copies or deleted files"),
    "unknown": ("object of unknown kind", "objects of unknown kind"),
}
"""Names of the kinds of objects, of one and of several."""
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_./]?)(\d\d)([-_./]?)(\d\d)(?=\D|\d{6})")
_TIME = re.compile(r"(?<!\d)(\d\d)([-_.:h/]?)(\d\d)([-_.:m/]?)(\d\d)(?!\d)")


@dataclasses.dataclass(frozen=True, slots=True)
class Camera:
    """A camera as names tell of it."""

    name: str
    videos: int
    timed: int
    """Videos whose name tells when they were recorded."""
    first: datetime | None
    last: datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What the names of an archive say."""

    kinds: dict[str, int]
    """Objects by kind: video, companion, trash, unknown."""
    layouts: dict[str, int]
    """Videos by the layout that they fit; "" for those that fit none."""
    proposal: str | None
    """A pattern that most of the videos that fit none would fit."""
    cameras: list[Camera]
    examples: list[tuple[str, Place]]
    """Paths of each layout with what is made of them."""
    untimed: list[str]
    """Paths of videos that fit no layout."""
    doubts: list[tuple[str, str]]
    """Paths whose time may be another, and why."""
    unknown: list[str]
    """Paths of objects that are neither videos nor what recorders write beside them."""
    unlisted: list[str]
    """What could not be looked into, and why."""

    def text(self) -> str:
        """Returns it in words."""
        lines = [", ".join(_counted(count, kind) for kind, count in self.kinds.items()) or "nothing is there"]
        for name, count in self.layouts.items():
            lines.append(
                f"\n{count} videos fit {f'the layout {name}' if name else 'no layout: their times are unknown'}"
            )
            for path, place in self.examples:
                if (place.layout or "") == name:
                    lines.append(f"  {path}\n    camera {place.camera}, {_when(place)}")
        if self.proposal:
            lines.append(f"\nMost of those may fit the pattern: --layout '{self.proposal}'")
        lines += ["\ncamera, videos, with a time, first, last"] if self.cameras else []
        for each in self.cameras:
            span = f"{each.first:%Y-%m-%d %H:%M:%S} to {each.last:%Y-%m-%d %H:%M:%S} UTC" if each.first else "no time"
            lines.append(f"  {each.name}: {each.videos}, {each.timed}, {span}")
        lines += _list("no video by their names", self.unknown)
        lines += _list("doubtful times", [f"{path}: {doubt}" for path, doubt in self.doubts])
        lines += _list("could not be looked into", self.unlisted)
        return utf8("\n".join(lines))


def inspect(store: Store, layout: str = AUTO, zone: str = "UTC") -> Inspection:
    """Reads every name of an archive. Raises LayoutError, and StoreError where it cannot be listed."""
    reads = Layout.of(store, layout, zone)
    kinds, layouts = Counter[str](), Counter[str]()
    by_camera: defaultdict[str, list[datetime | None]] = defaultdict(list)
    examples: defaultdict[str, list[tuple[str, Place]]] = defaultdict(list)
    doubts, unknown, untimed, unlisted = [], [], [], []
    for item in store.list():
        if item.trouble is not None:
            unlisted.append(f"{item.path}: {item.trouble}")
            continue
        kind = kind_of(item.path)
        kinds[kind] += 1
        if kind == "unknown":
            unknown.append(item.path)
        if kind != "video":
            continue
        place = reads.place(item.path)
        layouts[place.layout or ""] += 1
        by_camera[place.camera].append(place.start or place.end)
        if len(examples[place.layout or ""]) < EXAMPLES:
            examples[place.layout or ""].append((item.path, place))
        if place.layout is None:
            untimed.append(item.path)
        if place.doubt is not None:
            doubts.append((item.path, place.doubt))
    return Inspection(
        dict(kinds),
        dict(layouts.most_common()),
        propose(untimed),
        [_camera(name, times) for name, times in sorted(by_camera.items())],
        [each for some in examples.values() for each in some],
        untimed,
        doubts,
        unknown,
        unlisted,
    )


def propose(paths: list[str]) -> str | None:
    """Returns a pattern that at least half of the paths fit and that is made after one of them; None where none is."""
    best, most = None, 0
    for pattern in {_pattern_of(path) for path in paths[:SAMPLES]} - {None}:
        assert pattern is not None
        try:
            layout = Layout(pattern)
        except LayoutError:
            continue
        fit = sum(layout.place(path).layout is not None for path in paths)
        if (fit, -len(pattern)) > (most, -len(best or "")):
            best, most = pattern, fit
    return best if 2 * most >= len(paths) > 0 else None


def _pattern_of(path: str) -> str | None:
    """Returns a path as a pattern: its day and time as directives, its folders or its first word as the camera."""
    text = _DAY.sub(r"%Y\2%m\4%d", str(PurePosixPath(path).with_suffix("")))
    start = text.rfind("%d") + 2
    time = _TIME.search(text, start)
    if start < 2 or time is None:
        return None
    text = f"{text[: time.start()]}%H{time[2]}%M{time[4]}%S{'*' if text[time.end() :] else ''}"
    segments = text.split("/")
    timed = ["%" in segment for segment in segments]
    leading = timed.index(True)
    if leading:
        segments[:leading] = ["{camera}"]
    else:
        named = next((i for i, segment in enumerate(segments) if not timed[i] and not segment.isdigit()), None)
        if named is not None:
            segments[named] = "{camera}"
        else:
            word = re.match(r"([^%]*[^%\W_])([\W_]*)(?=%)", segments[-1])
            if word is None:
                return None
            segments[-1] = f"{{camera}}{word[2]}{segments[-1][word.end() :]}"
    return "/".join(re.sub(r"\d+", "*", segment) for segment in segments)


def _counted(count: int, kind: str) -> str:
    one, several = WORDS[kind]
    return f"{count} {one if count == 1 else several}"


def _when(place: Place) -> str:
    if place.start is not None:
        end = f" to {place.end:%H:%M:%S}" if place.end else ""
        return f"{place.start:%Y-%m-%d %H:%M:%S}{end} UTC"
    return f"ends at {place.end:%Y-%m-%d %H:%M:%S} UTC" if place.end else f"day {place.date}"


def _list(title: str, lines: list[str]) -> list[str]:
    more = [f"  and {len(lines) - EXAMPLES} more"] if len(lines) > EXAMPLES else []
    return [f"\n{title}:", *(f"  {line}" for line in lines[:EXAMPLES]), *more] if lines else []


def _camera(name: str, times: Iterable[datetime | None]) -> Camera:
    every = list(times)
    told = sorted(time for time in every if time is not None)
    return Camera(name, len(every), len(told), told[0] if told else None, told[-1] if told else None)
