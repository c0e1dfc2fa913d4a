"""Scores: from prediction error to anomalous intervals. The same functions serve evaluation, serving and batch.

numpy only. Pixel values are in [0, 1] wherever an error is formed, so PSNR has a peak of 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

CLIP_FRAMES = 4
"""Frames a prediction looks at; the first frames of a video that have no score."""
TILES = 16
"""Error tiles a side."""
MOTION_FRAME_SIZE = 256
"""Pixels a side at which motion is measured, at most; flow on larger frames is finer than the net is sure of."""
STILL_SPEED = 0.2
"""Pixels a frame below which a tile counts as still."""

Floats = npt.NDArray[np.floating]
Singles = npt.NDArray[np.float32]


def segments(frames: int, length: int) -> Iterator[tuple[int, int]]:
    """Cut a video into requests: [start, stop) ranges of at most `length` frames that overlap by CLIP_FRAMES.

    Every frame from CLIP_FRAMES on is predicted in exactly one segment. A video of fewer than 5 frames has none.
    """
    if length <= CLIP_FRAMES:
        raise ValueError(f"segment length {length}: must be at least {CLIP_FRAMES + 1}")
    start = 0
    while start + CLIP_FRAMES < frames:
        yield start, min(start + length, frames)
        start += length - CLIP_FRAMES


def min_max(values: Floats) -> Floats:
    """Scale one video's values to [0, 1] (Eq. 12 of the paper, on PSNR). A constant video becomes 1."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.ones_like(values)
    return (values - low) / (high - low)


def smooth(values: Floats, sigma: float) -> Floats:
    """Gaussian average over time with `sigma` in frames; weights are renormalised at the ends."""
    if sigma < 0.1 or len(values) < 2:  # the neighbours' weight would be below 1e-21
        return values.astype(np.float64)
    reach = min(int(np.ceil(3 * sigma)), len(values) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    total = np.convolve(values, kernel, "full")[reach:-reach]
    weight = np.convolve(np.ones(len(values)), kernel, "full")[reach:-reach]
    return np.asarray(total / weight)


def rolling_quantile(values: Floats, window: int, quantile: float) -> Floats:
    """Lower quantile over a window of about `window` rows, [F,n] -> [F,n].

    Windows are centred; near the ends the first and the last whole one stand for all, since a quantile of fewer values
    would vary more there.
    """
    reach = min(window // 2, (len(values) - 1) // 2)
    if reach < 1:
        return values
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * reach + 1, axis=0)
    rank = int(quantile * 2 * reach)
    runs = range(0, len(windows), 256)  # what is sorted at once stays small
    whole = np.concatenate([np.partition(windows[start : start + 256], rank, axis=-1)[..., rank] for start in runs])
    return whole[np.clip(np.arange(len(values)) - reach, 0, len(whole) - 1)]


@dataclasses.dataclass(frozen=True, slots=True)
class RawScores:
    """What the model measures of consecutive frames of one video, from the fifth on: the outputs of the ensemble."""

    psnr: Singles
    """[F] dB."""
    memory_distance: Singles
    """[F,2]: appearance, motion."""
    error_tiles: Singles
    """[F,16,16] mean squared error."""
    location_tiles: Singles
    """[F,16,16] squared distance from what is usual at the place, in its spreads."""
    feature_tiles: Singles
    """[F,16,16] squared distance from the nearest look of what was seen to move."""
    flow_tiles: Singles
    """[F,2,16,16] displacement since the frame before of what moves in the tile, x and y, pixels of FRAMES, of 256 a
    side where these have more."""

    @classmethod
    def join(cls, parts: Sequence[RawScores]) -> RawScores:
        """One after the other; of nothing, evidence of no frame."""
        tiles = (TILES, TILES)
        shapes: tuple[tuple[int, ...], ...] = ((), (2,), tiles, tiles, tiles, (2, *tiles))
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(
            *(
                np.concatenate([np.zeros((0, *shape), np.float32), *(getattr(part, name) for part in parts)])
                for name, shape in zip(names, shapes, strict=True)
            )
        )

    def __len__(self) -> int:
        return len(self.psnr)


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """Anomalous positions [start, end] (inclusive) of a score curve, with the position of its maximum."""

    start: int
    peak: int
    end: int


def hysteresis(scores: Floats, enter: float, exit_: float, *, min_frames: int, merge_frames: int) -> list[Interval]:
    """Maximal runs above `exit_` that somewhere exceed `enter`; close runs are merged, then short ones dropped."""
    above = np.concatenate([[False], scores > exit_, [False]])
    edges = np.flatnonzero(above[1:] != above[:-1])
    runs = [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if scores[a:b].max() > enter]
    merged: list[tuple[int, int]] = []
    for start, end in runs:
        if merged and start - merged[-1][1] <= merge_frames:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [
        Interval(start, start + int(np.argmax(scores[start : end + 1])), end)
        for start, end in merged
        if end - start + 1 >= min_frames
    ]
