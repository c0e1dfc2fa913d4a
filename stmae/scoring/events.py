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


def find_events(parts: Iterable[ScoredFrames], calibration: Calibration, fps: float) -> Iterator[Event]:
    """Yields the events of a stream of scores in order of time, each as soon as no later frame can join it.

    A maximal run above the exit level that somewhere exceeds the entry level is an event; runs that are nearer than
    `merge_seconds` are one, and what is then shorter than `min_seconds` is none. (Hysteresis, as in edge detection.)
    """
    enter = float(np.log10(calibration.event_hours))
    leave = enter + float(np.log10(EXIT_RATIO))
    gap, shortest = round(calibration.merge_seconds * fps), max(1, round(calibration.min_seconds * fps))
    runs = (run for run in _runs(parts, leave) if run.score > enter)
    event: Event | None = None
    for run in runs:
        if event is not None and run.start - event.end <= gap:
            peak = max(event, run, key=lambda one: one.score)
            event = dataclasses.replace(peak, start=event.start, end=run.end)
            continue
        if event is not None and event.end - event.start + 1 >= shortest:
            yield event
        event = run
    if event is not None and event.end - event.start + 1 >= shortest:
        yield event


def _runs(parts: Iterable[ScoredFrames], level: float) -> Iterator[Event]:
    """Yields the maximal runs of frames whose score is above a level."""
    begun: Event | None = None
    first = 0
    for part in parts:
        above = part.score > level
        edges = np.flatnonzero(np.diff(above.astype(np.int8), prepend=0, append=0))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            peak = int(start + np.argmax(part.score[start:stop]))
            run = Event(
                first + int(start),
                first + peak,
                first + int(stop) - 1,
                float(part.score[peak]),
                int(part.log10_p[peak].argmax()),
            )
            if begun is not None and begun.end == run.start - 1:
                highest = run if run.score > begun.score else begun
                run = dataclasses.replace(highest, start=begun.start, end=run.end)
            elif begun is not None:
                yield begun
            begun = run
        first += len(part)
        if begun is not None and begun.end < first - 1:
            yield begun
            begun = None
    if begun is not None:
        yield begun
