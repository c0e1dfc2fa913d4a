"""Appearance: what moves looks like nothing in the bank of what normally moves (PatchCore, Roth et al. 2022).

It sees a bicycle that goes at the pace of walkers, or somebody on the ground. It does not see what stands still, nor
normal things in the wrong place or at the wrong speed. The bank and the nearest neighbour belong to the served model.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from stmae.scoring.detectors.step import step_average
from stmae.scoring.raw import Floats, RawScores


@dataclasses.dataclass(frozen=True, slots=True)
class AppearanceDetector:
    """Reads the distance of what moves from its nearest neighbour in the feature bank. There is nothing to fit."""

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16]: the squared distance over a step; 0 where it is still."""
        distance = raw.feature_tiles[:, None].astype(np.float64)
        return np.asarray(step_average(distance, raw.flow_tiles, fps)[:, 0])
