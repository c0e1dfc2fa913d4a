"""Events: the stretches of a camera's timeline in which the score stands out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from stmae.scoring.calibration import Calibration, ScoredFrames

EXIT_RATIO = 0.1
"""An event lasts while the return period stays above this fraction of the one from which it is an event."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Frames `start` to `end`, both included, of a stream, with its peak."""

    start: int
    peak: int
    end: int
    score: float
    """log10 of the return period of the peak in hours, unbounded."""
    detector: int
    """Index of the detector with the lowest p-value at the peak."""


def find_events(parts: Iterable[ScoredFrames], calibration: Calibration) -> Iterator[Event]:
    """Yields the events of a stream of scores in order of time.

    A maximal run above the exit level that somewhere exceeds the entry level is an event; runs that are nearer than
    `merge_seconds` are one, and what is then shorter than `min_seconds` is none. (Hysteresis, as in edge detection.)
    """
    enter = float(np.log10(calibration.event_hours))
    runs = _merged(_runs(parts, enter + float(np.log10(EXIT_RATIO))), 0)  # those that a part's end cut
    for event in _merged(
        (run for run in runs if run.score > enter), round(calibration.merge_seconds * calibration.fps)
    ):
        if event.end - event.start + 1 >= round(calibration.min_seconds * calibration.fps):
            yield event


def _runs(parts: Iterable[ScoredFrames], level: float) -> Iterator[Event]:
    """Yields the maximal runs of each part whose score is above a level."""
    first = 0
    for part in parts:
        edges = np.flatnonzero(np.diff((part.score > level).astype(np.int8), prepend=0, append=0)).tolist()
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            peak = start + int(np.argmax(part.score[start:stop]))
            detector = int(part.log10_p[peak].argmax())
            yield Event(first + start, first + peak, first + stop - 1, float(part.score[peak]), detector)
        first += len(part)


def _merged(runs: Iterable[Event], gap: int) -> Iterator[Event]:
    """Yields the runs, those with at most `gap` frames between them as one."""
    held: Event | None = None
    for run in runs:
        if held is None or run.start - held.end - 1 > gap:
            yield from [held] if held is not None else []
            held = run
        else:
            held = dataclasses.replace(max(held, run, key=lambda one: one.score), start=held.start, end=run.end)
    yield from [held] if held is not None else []
