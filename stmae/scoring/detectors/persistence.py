"""Persistence: for seconds, a place does not look as it does on normal footage (diagonal PaDiM, Defard et al. 2021).

It sees a bag that was left and somebody who loiters where others pass. It does not see what only passes by, nor what
stays where something normally stays; and where a stream starts, it knows nothing yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy import ndimage, stats

from stmae.scoring.raw import Floats, RawScores

BEFORE_SECONDS = 4.5
"""How long something must have been there: longer than whoever passes by covers a tile."""
AFTER_SECONDS = 1.0
"""How long it must stay there afterwards."""
MAX_DEVIATION = 30.0
"""Standard deviations that a tile's nonconformity reaches, at most, in both directions."""


@dataclasses.dataclass(frozen=True, slots=True)
class PersistenceDetector:
    """Compares the distance from the per-location Gaussian that lasts with the one that lasts on normal footage."""

    median: Floats
    """[16,16] natural logarithm of the lasting distance on normal footage."""
    spread: Floats
    """[16,16] its standard deviation, by the median absolute deviation; at least that of the median tile."""

    @classmethod
    def fit(cls, clips: Sequence[RawScores], fps: float) -> Self:
        """Fits median and spread of each tile to normal clips."""
        lasting = np.concatenate([_lasting(clip, fps) for clip in clips])
        spread = stats.median_abs_deviation(lasting, axis=0, scale="normal")
        return cls(np.median(lasting, axis=0), np.maximum(spread, max(float(np.median(spread)), 1e-6)))

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16], in standard deviations above the median.

        It is the least less than BEFORE_SECONDS after the first frame: how long what it shows has been there is not
        known.
        """
        deviation = np.clip((_lasting(raw, fps) - self.median) / self.spread, -MAX_DEVIATION, MAX_DEVIATION)
        deviation[: int(BEFORE_SECONDS * fps)] = -MAX_DEVIATION
        return deviation


def log_distance(raw: RawScores) -> Floats:
    """Returns [F,16,16], the natural logarithm of the squared distance from the per-location Gaussian."""
    return np.log(raw.location_tiles.astype(np.float64) + 1e-6)


def _lasting(raw: RawScores, fps: float) -> Floats:
    """Returns [F,16,16], the logarithm of the distance that holds from BEFORE_SECONDS before to AFTER_SECONDS after."""
    before, after = int(BEFORE_SECONDS * fps), int(AFTER_SECONDS * fps)
    # The filter's window is centred on its frame; `origin` moves it so that it ends `after` frames later.
    origin = before - (before + 1 + after) // 2
    distance, size = log_distance(raw), before + 1 + after
    return np.asarray(ndimage.minimum_filter1d(distance, size, axis=0, mode="nearest", origin=origin))
