"""Times from time stamps: from 0, strictly increasing, and right around stamps that are wrong.

Recorders write stamps that jump once, run backwards, start at an hour, repeat, or are missing. A stamp is believed
where its neighbours agree with it.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

JUMP_SECONDS = 1.0
"""A step of more than this, and of more than JUMP_STEPS usual steps, is believed only if the next stamps agree."""
JUMP_STEPS = 3.0
LEAST_STEP = 0.05
"""A step of less than this of the usual one is not believed either: muxers write stamps that ran back so."""
LOOKAHEAD = 8
"""Stamps after a jump that decide whether it is one: as many frames are held in memory while they are read."""
STEPS = 15
"""The usual step is the median of so many."""


class Clock(Generic[T]):
    """Gives frames their times. `step` is the usual distance of two frames until the stamps tell, seconds."""

    def __init__(self, step: float) -> None:
        self.odd = 0
        """Stamps that were not believed."""
        self.restarts = 0
        """Times that the stamps went back for good, and were taken to go on."""
        self._steps = deque([step], STEPS)
        self._offset: float | None = None
        self._last = 0.0

    @property
    def first(self) -> float:
        """Returns the stamp that is time 0, seconds."""
        return self._offset or 0.0

    @property
    def step(self) -> float:
        """Returns the usual distance of two frames, seconds."""
        return statistics.median(self._steps)

    def times(self, stamped: Iterable[tuple[float | None, T]]) -> Iterator[tuple[float, T]]:
        """Yields the time of each frame, given frames in the order of display with their stamps in seconds."""
        held: deque[tuple[float | None, T]] = deque()
        source = iter(stamped)
        while True:
            if not held:
                held.extend(_first(source, 1))
            if not held:
                return
            if self._offset is None:
                held.extend(_first(source, 2))
                self._begin([stamp for stamp, _ in held])
                yield self._last, held.popleft()[1]
                continue
            stamp = held[0][0]
            if stamp is None or self._plausible(stamp):
                yield self._next(stamp), held.popleft()[1]
                continue
            held.extend(_first(source, 1 + LOOKAHEAD - len(held)))
            for time_s in self._settle([stamp for stamp, _ in held]):
                yield time_s, held.popleft()[1]

    def _begin(self, stamps: list[float | None]) -> None:
        """Sets the time of the first frame to 0. Where two stamps after it agree with each other alone, they decide."""
        first, *after = [stamp for stamp in stamps if stamp is not None] or [0.0]
        self._offset = first
        if len(after) == 2 and stamps[0] is not None:
            near = [0 < step <= self._jump for step in (after[1] - after[0], after[0] - first, after[1] - first)]
            if near == [True, False, False]:
                self._offset, self.odd = 2 * after[0] - after[1], 1

    def _plausible(self, stamp: float) -> bool:
        assert self._offset is not None
        return LEAST_STEP * self.step < stamp - self._offset - self._last <= self._jump

    @property
    def _jump(self) -> float:
        return max(JUMP_SECONDS, JUMP_STEPS * self.step)

    def _next(self, stamp: float | None) -> float:
        if stamp is None:
            self._wait(self.step)
        else:
            assert self._offset is not None
            self._wait(stamp - self._offset - self._last)
        return self._last

    def _settle(self, stamps: list[float | None]) -> list[float]:
        """Returns the times of the first frames of a suspicious stretch: of those before the stamps go on as before,
        or of the first alone, where they go on from it."""
        assert self._offset is not None
        steps = [None if stamp is None else stamp - self._offset - self._last for stamp in stamps]
        first = steps[0]
        assert first is not None
        if len(steps) == 1:  # the last frame: no neighbour agrees
            self.odd += 1
            return [self._wait(self.step)]
        least, forward = LEAST_STEP * self.step, first > self._jump
        goes_on = {
            count: step
            for count, step in enumerate(steps[1:], 1)
            if step is not None and step > least and (not forward or step < first)
        }
        usual = [count for count, step in goes_on.items() if step <= 2 * (count + 1) * self.step]
        for count in usual or goes_on:
            self.odd += count
            return [self._wait(goes_on[count] / (count + 1)) for _ in range(count)]
        if first <= 0:
            self.restarts += 1
            self._offset += first - self.step
            first = self.step
        return [self._wait(first)]

    def _wait(self, distance: float) -> float:
        self._steps.append(distance)
        self._last += distance
        return self._last


def _first(source: Iterator[tuple[float | None, T]], count: int) -> Iterator[tuple[float | None, T]]:
    for _ in range(count):
        item = next(source, None)
        if item is None:
            return
        yield item
