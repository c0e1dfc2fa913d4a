"""From a nonconformity to the p-value among normal ones: an empirical body with a generalised Pareto tail."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np

from stmae.scoring.raw import Floats

BODY_QUANTILES = 20
"""Quantiles, evenly spaced, that keep the distribution below the tail."""
MIN_SCALE = 1e-3
"""Least scale of a tail, as a fraction of the body's range: values that were all the same say little of the next."""


@dataclasses.dataclass(frozen=True, slots=True)
class PValues:
    """The distribution of a nonconformity on normal footage (peaks over threshold: Coles 2001, chapter 4)."""

    quantiles: Floats
    """[BODY_QUANTILES] values at evenly spaced probabilities from 0 to `threshold`."""
    threshold: float
    """Probability at which the tail begins."""
    scale: float
    shape: float

    @classmethod
    def fit(cls, values: Floats, threshold: float, shape: float = 0.0) -> Self:
        """Fits the scale of a tail of this shape to what exceeds the threshold; of no values, every p is 1."""
        if not values.size:
            return cls(np.full(BODY_QUANTILES, np.finfo(float).max), threshold, 1.0, shape)
        quantiles = np.quantile(values.astype(np.float64), np.linspace(0, threshold, BODY_QUANTILES))
        excesses = values[values > quantiles[-1]] - quantiles[-1]
        scale = float(excesses.mean()) * (1 - shape) if len(excesses) else 0.0
        return cls(quantiles, threshold, max(scale, MIN_SCALE * max(float(np.ptp(quantiles)), 1e-3)), shape)

    def log10(self, values: Floats) -> Floats:
        """Returns -log10 of the p-values, in the shape of `values`."""
        body = -np.log10(1 - np.linspace(0, self.threshold, BODY_QUANTILES))
        rising = self.quantiles + np.arange(BODY_QUANTILES) * 1e-12  # np.interp wants them to
        return np.interp(values, rising, body) + pareto_log10(values - self.quantiles[-1], self.scale, self.shape)


def pareto_log10(excesses: Floats, scale: float, shape: float) -> Floats:
    """Returns -log10 of the probability that an excess over the threshold is larger; 0 below the threshold."""
    relative = np.maximum(excesses, 0.0) / scale
    return np.asarray((np.log1p(shape * relative) / shape if shape > 0 else relative) / np.log(10))
