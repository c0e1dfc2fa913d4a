"""Windows over a stream of rows: each block of frames together with the frames around it that its scores depend on."""

from __future__ import annotations

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
        while begins < len(rows):
            stop = min(begins + BLOCK, len(rows))
            first = max(stop - back, 0)
            yield rows[: stop + ahead], slice(begins, stop)
            rows, begins = rows[first:], stop - first


class RollingQuantile:
    """A quantile of the last values of a stream, the newest included."""

    def __init__(self, length: int, quantile: float) -> None:
        self.length, self.quantile, self._held = length, quantile, np.zeros(0)

    def __call__(self, values_F: Floats) -> Floats:
        """Returns [F], the quantile of the last `length` values up to each of `values_F`."""
        history = np.concatenate([self._held, values_F])
        ends = np.arange(len(self._held), len(history)) + 1
        self._held = history[-self.length :]
        return np.array([np.quantile(history[max(end - self.length, 0) : end], self.quantile) for end in ends])
