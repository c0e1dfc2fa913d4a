"""The timeline of a camera: its recordings in order, cut into the hours that are the unit of work and of storage."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from stmae import tables
from stmae.archive.sources import Source

WARM_UP = timedelta(minutes=10)
"""So much of what came before decides on the values of an hour's first frame."""
HOURS = tuple(f"{hour:02}" for hour in range(24))
"""Keys of the camera-hours of a day."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)  # each has hundreds of sources: compared as itself
class Unit:
    """A camera-hour: the recordings of a camera that begin in an hour (UTC). One without a time is a unit of its own.

    Its rows are a function of these sources and of those around it, whatever else is scored before or after it.
    """

    camera: str
    date: str
    key: str
    """Name of its objects in the tables: the hour, 00 to 23, or a name made of the URI."""
    own: tuple[Source, ...]
    before: tuple[Source, ...] = ()
    """What warms up the detectors: sources that begin within WARM_UP before the first own one, and the one before."""
    after: Source | None = None
    """The source that follows: the last frames depend on the second after them."""

    def partition(self, model: str) -> tables.Partition:
        """Returns where its rows lie for a model partition."""
        return tables.Partition(model, self.camera, self.date)

    @property
    def stream(self) -> tuple[Source, ...]:
        """Returns all sources that its rows depend on, in order."""
        return (*self.before, *self.own, *([self.after] if self.after else []))


def inputs_digest(sources: Iterable[Source]) -> str:
    """Returns 16 hex digits of a digest of sources and of the ETags of their bytes."""
    lines = "".join(f"{source.uri}\t{source.etag}\n" for source in sources)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def units_of(sources: Iterable[Source]) -> list[Unit]:
    """Returns the units of an archive, sorted by camera and time; every source is the own of exactly one."""
    timed: defaultdict[str, list[Source]] = defaultdict(list)
    units = []
    for source in sources:
        if source.place.start is None or source.skipped:
            units.append(Unit(source.place.camera, source.place.date, source.key, (source,)))
        else:
            timed[source.place.camera].append(source)
    for recorded in timed.values():
        units += _hours(sorted(recorded, key=lambda source: (_start(source), source.uri)))
    return sorted(units, key=lambda unit: (unit.camera, unit.date, unit.key))


def _start(source: Source) -> datetime:
    assert source.place.start is not None
    return source.place.start


def _hours(recorded: Sequence[Source]) -> Iterator[Unit]:
    """Yields the units of a camera, given its sources with times in order."""
    begin, bounds, own = 0, (0, 0), tuple[Source, ...]()
    for _, hour in itertools.groupby(_start(source).replace(minute=0, second=0, microsecond=0) for source in recorded):
        end = begin + sum(1 for _ in hour)
        first, opening = begin, recorded[begin]
        while first > 0 and _start(recorded[first]) > _start(opening) - WARM_UP:
            first -= 1
        # Of millions of hour-long files each is all of an hour and all that warms up the next one: it is held once.
        before = own if bounds == (first, begin) else tuple(recorded[first:begin])
        bounds, own = (begin, end), tuple(recorded[begin:end])
        after = recorded[end] if end < len(recorded) else None
        yield Unit(opening.place.camera, opening.place.date, HOURS[_start(opening).hour], own, before, after)
        begin = end
