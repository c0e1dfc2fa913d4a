"""Scores: from prediction error to anomalous intervals. The same functions serve evaluation, serving and batch.

numpy only. Pixel values are in [0, 1] wherever an error is formed, so PSNR has a peak of 1.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

CLIP_FRAMES = 4
"""Frames a prediction looks at; the first frames of a video that have no score."""
TILES = 16
"""Error tiles a side."""
MIN_MSE = 1e-10
"""Floor of the mean squared error: a perfect prediction has 100 dB, not infinity."""
MIN_SPREAD_DB = 0.25
"""Floor of a calibration's spread: a camera with hardly any variation must not alarm on noise."""

Floats = npt.NDArray[np.floating]


def psnr(mse: Floats) -> Floats:
    """Peak signal-to-noise ratio in dB of a mean squared error over pixels in [0, 1]."""
    return np.asarray(-10.0 * np.log10(np.maximum(mse, MIN_MSE)))


def error_tiles(prediction: Floats, target: Floats) -> Floats:
    """Mean squared error per tile. [..., 3, H, W] in [0, 1], H and W multiples of TILES -> [..., TILES, TILES]."""
    *lead, _, height, width = prediction.shape
    error = ((prediction - target) ** 2).mean(axis=-3)
    tiles = error.reshape(*lead, TILES, height // TILES, TILES, width // TILES)
    return np.asarray(tiles.mean(axis=(-3, -1)))


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What is normal for a camera, fitted on held-out normal footage; turns PSNR into a comparable score.

    score = (median - smoothed PSNR) / spread: 0 is a usual frame, larger is odder.
    """

    median: float
    """dB."""
    spread: float
    """dB; 1.4826 x the median absolute deviation, floored at MIN_SPREAD_DB."""
    enter: float
    """Score above which an event starts."""
    exit: float
    """Score below which it ends."""
    smoothing_seconds: float
    min_seconds: float
    merge_seconds: float
    frames: int
    """Held-out frames it was fitted on."""

    def score(self, psnr_db: Floats, fps: float) -> Floats:
        """Calibrated anomaly score of consecutive frames of one video, [F] dB -> [F]."""
        return (self.median - smooth(psnr_db, self.smoothing_seconds * fps)) / self.spread

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises ValueError where the text is not a calibration."""
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a calibration: {error}") from None

    def digest(self) -> str:
        """SHA-256 (hex)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def fit_calibration(
    clips: Sequence[Floats],
    fps: Sequence[float],
    *,
    smoothing_seconds: float,
    enter_quantile: float,
    exit_quantile: float,
    min_seconds: float,
    merge_seconds: float,
) -> Calibration:
    """Fit on the PSNR (dB) of held-out normal clips. Raises ValueError where there is no frame to fit on."""
    if sum(len(clip) for clip in clips) == 0:
        raise ValueError("calibration: the held-out clips have no scored frame; hold out more or longer clips")
    smoothed = np.concatenate(
        [smooth(clip, smoothing_seconds * rate) for clip, rate in zip(clips, fps, strict=True) if len(clip)]
    )
    median = float(np.median(smoothed))
    spread = max(1.4826 * float(np.median(np.abs(smoothed - median))), MIN_SPREAD_DB)
    scores = (median - smoothed) / spread
    return Calibration(
        median=median,
        spread=spread,
        enter=float(np.quantile(scores, enter_quantile)),
        exit=float(np.quantile(scores, exit_quantile)),
        smoothing_seconds=smoothing_seconds,
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
        frames=len(smoothed),
    )


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
