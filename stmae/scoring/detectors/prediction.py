"""Prediction error: the frame does not look as the model predicted it.

It sees what the model never learnt to draw, whatever that is, and a changed scene. It does not see what is anomalous
but easy to predict, and it is not sure of small things: error also comes with every edge that moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from stmae.scoring.raw import Floats, RawScores


@dataclasses.dataclass(frozen=True, slots=True)
class PredictionDetector:
    """Compares the error of each tile with the level that it has on normal footage."""

    level: Floats
    """[16,16] natural logarithm of the normal error."""

    @classmethod
    def fit(cls, clips: Sequence[RawScores], fps: float) -> Self:
        """Fits the level of each tile to normal clips.

        The mean error of the view is added: tiles with next to none (sky, walls) would raise alarms at the least noise.
        """
        mean = np.concatenate([clip.error_tiles for clip in clips]).mean(axis=0, dtype=np.float64)
        return cls(np.log(mean + mean.mean() + 1e-6))

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16]: the logarithm of its error, relative to its level."""
        return np.asarray(np.log(raw.error_tiles.astype(np.float64) + 1e-6) - self.level)
