"""The timeline of a camera's day: what became of each minute of it, and where its events are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stmae.report.rows import Row
from stmae.report.wording import return_period, share

DAY, MINUTE = 86_400, 60
"""Seconds."""
UNACCOUNTED = "unaccounted"
"""The status of the time that no row tells of."""
PAINTED = (UNACCOUNTED, "skipped", "missing", "empty", "undecodable", "truncated", "scored", "gap")
"""What a second can be, in the order in which it is painted over: what one of two recordings of the same time shows
was looked at. The pauses of a recording are gaps within it, so gaps come last."""
TROUBLE = frozenset({"skipped", "missing", "empty", "undecodable", "truncated"})
WEIGHTS = np.array([100.0 if each in TROUBLE else 1.0 if each == "scored" else 1.1 for each in PAINTED])
"""A minute shows the status with most seconds in it, times these: trouble however short, and at a tie no recording."""

Codes = npt.NDArray[np.uint8]
"""Statuses as indices into PAINTED."""


class Stretch(NamedTuple):
    """Neighbouring minutes of the same status."""

    status: str
    left: float
    """Percent of the day, as all places on a strip."""
    width: float
    times: str


class Mark(NamedTuple):
    """An event on a strip."""

    number: int
    """Its place among the events of the report, from 1; the lower, the rarer."""
    left: float
    radius: float
    """Pixels; the rarer, the larger."""
    title: str


class Strip(NamedTuple):
    """A camera's day."""

    camera: str
    date: str
    stretches: list[Stretch]
    marks: list[Mark]
    """The rarest last, above the others."""
    seconds: dict[str, int]
    """By status of PAINTED; they add up to the day."""

    @property
    def recorded(self) -> int:
        """Returns the seconds with a recording."""
        return DAY - self.seconds[UNACCOUNTED] - self.seconds["gap"]

    @property
    def scored(self) -> str:
        """Returns the share of the time with a recording that was scored."""
        # What is left of files that are cut was scored, but never all that was recorded.
        cut = max(0, self.seconds["truncated"] - 1)
        return share(self.seconds["scored"] + cut, self.recorded)


class _Stretches(NamedTuple):
    """The timed rows of a camera's coverage, in the order in which they are painted."""

    begin: npt.NDArray[np.int64]
    """Seconds since 1970."""
    end: npt.NDArray[np.int64]
    code: Codes


def strips_of(
    coverage: Mapping[str, pa.Table], events: Sequence[Row], days: Mapping[str, Sequence[str]]
) -> Iterator[Strip]:
    """Yields the strips of cameras and of their `days`, given coverage by camera, and events with the rarest first.

    A camera whose videos have no times has none.
    """
    marked: defaultdict[tuple[str, str], list[tuple[int, Row]]] = defaultdict(list)
    for number, event in enumerate(events, 1):
        if event["peak_time"] is not None:
            marked[event["camera"], event["date"]].append((number, event))
    for camera, dates in days.items():
        stretches = _stretches(coverage[camera]) if camera in coverage else None
        if stretches is not None and not len(stretches.code):
            continue
        for date in dates:
            midnight = datetime.fromisoformat(date).replace(tzinfo=UTC)
            codes = _painted(stretches, round(midnight.timestamp()))
            seconds = np.bincount(codes, minlength=len(PAINTED)).tolist()
            yield Strip(
                camera=camera,
                date=date,
                stretches=_merged(codes),
                marks=[_mark(number, event, midnight) for number, event in reversed(marked[camera, date])],
                seconds=dict(zip(PAINTED, seconds, strict=True)),
            )


def _stretches(rows: pa.Table) -> _Stretches:
    timed = rows.filter(pc.is_valid(rows["start_time"]))
    start, end = (timed[name].cast(pa.int64()).to_numpy() for name in ("start_time", "end_time"))
    # A row accounts for the seam before its recording too.
    begin = np.minimum(start, end - (timed["seconds"].to_numpy() * 1e6).astype(np.int64)) // 1_000_000
    end = end // 1_000_000
    code = pc.index_in(timed["status"], pa.array(PAINTED)).to_numpy().astype(np.uint8)
    # What is in trouble without a length, e.g. an empty file, is still told of: as a second above all others.
    moment = (begin >= end) & np.isin(code, [PAINTED.index(status) for status in TROUBLE])
    order = np.lexsort((code, moment))
    return _Stretches(begin[order], np.where(moment, begin + 1, end)[order], code[order])


def _painted(stretches: _Stretches | None, midnight: int) -> Codes:
    """Returns the status of each second of the day."""
    codes = np.zeros(DAY, np.uint8)
    if stretches is not None:
        begin, end = (np.clip(each - midnight, 0, DAY) for each in (stretches.begin, stretches.end))
        today = begin < end
        columns = (each[today].tolist() for each in (begin, end, stretches.code))
        for first, last, code in zip(*columns, strict=True):
            codes[first:last] = code
    return codes


def _merged(codes: Codes) -> list[Stretch]:
    """Returns the stretches of a day in the order in which they are drawn: the shorter on top, trouble above all.

    They are whole minutes, so that there are few.
    """
    minutes = codes.reshape(-1, MINUTE)
    seconds = np.stack([(minutes == code).sum(axis=1) for code in range(len(PAINTED))], axis=1)
    shown = [PAINTED[code] for code in (seconds * WEIGHTS).argmax(axis=1)]
    edges = [0, *(minute for minute in range(1, len(shown)) if shown[minute] != shown[minute - 1]), len(shown)]
    drawn = sorted(pairwise(edges), key=lambda each: (shown[each[0]] in TROUBLE, each[0] - each[1]))
    return [
        Stretch(
            status=shown[begin],
            left=100 * begin / len(shown),
            width=100 * (end - begin) / len(shown),
            times=f"{begin // 60:02d}:{begin % 60:02d}\N{EN DASH}{end // 60:02d}:{end % 60:02d}",
        )
        for begin, end in drawn
    ]


def _mark(number: int, event: Row, midnight: datetime) -> Mark:
    """Returns the mark of an event. One whose day ends before its peak is marked at the day's end."""
    rarity = return_period(event["return_period_hours"], bounded=event["bounded"])
    return Mark(
        number=number,
        left=100 * min(max((event["peak_time"] - midnight).total_seconds() / DAY, 0.0), 1.0),
        radius=min(max(1.5 + event["score"], 2.5), 6.0),
        title=f"{event['peak_time']:%H:%M:%S} {rarity}",
    )
