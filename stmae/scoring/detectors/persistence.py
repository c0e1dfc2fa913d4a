"""Persistence: for seconds, a place does not look as it does on normal footage (diagonal PaDiM, Defard et al. 2021).

It sees a bag that was left and somebody who loiters where others pass. It does not see what only passes by, nor what
stays where something normally stays; and where a clip starts, it knows nothing yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy import ndimage

from stmae.scoring.raw import Floats, RawScores

BEFORE_SECONDS = 4.5
"""How long something must have been there: longer than whoever passes by covers a tile."""
AFTER_SECONDS = 1.25
"""How long it must stay there afterwards."""
MIN_DISTANCE = 1e-6
"""Squared distance added before the logarithm."""
MAD_TO_SIGMA = 1.4826
"""Standard deviations of a normal distribution that has a median absolute deviation of 1."""
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
        lasting = np.concatenate([lasting_distance(clip, fps, wait=False) for clip in clips])
        median = np.median(lasting, axis=0)
        spread = MAD_TO_SIGMA * np.median(np.abs(lasting - median), axis=0)
        return cls(median, np.maximum(spread, max(float(np.median(spread)), MIN_DISTANCE)))

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16], in standard deviations above the median.

        `raw` starts where its stream starts, or at least BEFORE_SECONDS before the frames that are of interest.
        """
        deviation = (lasting_distance(raw, fps) - self.median) / self.spread
        return np.clip(deviation, -MAX_DEVIATION, MAX_DEVIATION)

    @staticmethod
    def view(raw: RawScores) -> Floats:
        """Returns [F], the mean logarithm of the distance over the whole view, whether it lasts or not."""
        return np.asarray(np.log(raw.location_tiles.astype(np.float64) + MIN_DISTANCE).mean(axis=(1, 2)))

    @classmethod
    def of_json(cls, table: dict[str, Any]) -> Self:
        """Returns the inverse of `dataclasses.asdict` after a journey through JSON."""
        return cls(np.array(table["median"], np.float64), np.array(table["spread"], np.float64))


def lasting_distance(raw: RawScores, fps: float, *, wait: bool = True) -> Floats:
    """Returns [F,16,16], the logarithm of the distance that holds from BEFORE_SECONDS before to AFTER_SECONDS after.

    With `wait`, frames less than BEFORE_SECONDS after the first have minus infinity: nobody knows how long what they
    show has been there. Without it, they take what the clip tells.
    """
    distance = np.log(raw.location_tiles.astype(np.float64) + MIN_DISTANCE)
    before, after = round(BEFORE_SECONDS * fps), round(AFTER_SECONDS * fps)
    size = before + 1 + after
    # The filter's window is centred on its frame; `origin` moves it so that it ends `after` frames later.
    lasting = ndimage.minimum_filter1d(distance, size, axis=0, mode="nearest", origin=size // 2 - after)
    if wait:
        lasting[:before] = -np.inf
    return np.asarray(lasting)
