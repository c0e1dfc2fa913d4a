"""Windows over a stream of rows: each block of frames together with the frames around it that its scores depend on."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from stmae.scoring.raw import Floats, Rows

T = TypeVar("T", bound=Rows)

BLOCK = 256
"""Frames that are scored at once. Blocks are counted from the start of the stream, however its parts arrive."""


def windows(parts: Iterable[T], back: int, ahead: int) -> Iterator[tuple[T, slice]]:
    """Yields (window, block) for each block of a stream: the block's rows are window[block].

    A window begins `back` rows before its block and ends `ahead` rows after it, or where the stream begins and ends.
    At most back + 2 BLOCK + ahead rows and one part are held, whatever the length of the stream.
    """
    held: list[T] = []
    begins = 0  # first row of the next block among those held
    for part in parts:
        held.append(part)
        while sum(map(len, held)) >= begins + BLOCK + ahead:
            rows = type(part).join(held)
            yield rows[: begins + BLOCK + ahead], slice(begins, begins + BLOCK)
            first = max(begins + BLOCK - back, 0)
            held, begins = [rows[first:]], begins + BLOCK - first
    if held:
        rows = type(held[0]).join(held)
        for start in range(begins, len(rows), BLOCK):
            first, stop = max(start - back, 0), min(start + BLOCK, len(rows))
            yield rows[first : stop + ahead], slice(start - first, stop - first)


class RollingMedian:
    """The median of the last values of a stream, the newest included."""

    def __init__(self, length: int) -> None:
        self._last: deque[float] = deque()
        self._sorted: list[float] = []
        self._length = length

    def __call__(self, values_F: Floats) -> Floats:
        """Returns [F], the (upper) median of the last values up to each of `values_F`."""
        return np.array([self._next(value) for value in values_F.tolist()])

    def _next(self, value: float) -> float:
        self._last.append(value)
        insort(self._sorted, value)
        if len(self._last) > self._length:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
        return self._sorted[len(self._sorted) // 2]
