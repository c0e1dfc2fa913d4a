"""Frames at a fixed rate by time, so that a pixel a frame means the same for every recorder."""

from __future__ import annotations

import math

EARLY = 0.3
"""A frame counts as that of the next sample from so much of a sampling interval before it: recorders jitter."""

SLOWER = 0.95
"""Footage with fewer frames a second than this fraction of the sampling rate is slower than it: it is told, not
stretched."""


class Sampler:
    """Says which frames are samples at `fps`, counted from the first frame.

    No frame is taken twice: of footage that has fewer frames every one is a sample.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._first: float | None = None
        self._last = -1

    def takes(self, time_s: float) -> bool:
        """Says whether the frame of this time is a sample; times come in their order, seconds."""
        self._first = time_s if self._first is None else self._first
        number = math.floor((time_s - self._first) * self._fps + EARLY)
        if number <= self._last:
            return False
        self._last = number
        return True


def is_slower(native_fps: float, fps: float) -> bool:
    """Says whether footage of `native_fps` frames a second has too few of them for samples at `fps`."""
    return native_fps < SLOWER * fps
