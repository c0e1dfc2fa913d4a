"""From a nonconformity to the p-value among normal ones: an empirical body with a generalised Pareto tail."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np

from stmae.scoring.raw import Floats

BODY_QUANTILES = 20
"""Quantiles, evenly spaced, that keep the distribution below the tail's threshold."""
FRAME_THRESHOLD = 0.95
"""Probability at which the tail of a quantity that there is one of in a frame begins."""
FRAME_SHAPE = 0.5
"""Shape of that tail: heavy, since the frames of a few clips show few situations."""
MAX_SHAPE = 0.5
"""Largest shape of a fitted tail: beyond it the excesses have no variance and no sample tells the shape."""
MIN_SCALE = 1e-3
"""Least scale of the tail, as a fraction of the body's range: values that were all the same say little of the next."""


@dataclasses.dataclass(frozen=True, slots=True)
class PValues:
    """The distribution of a nonconformity on normal footage (peaks over threshold: Coles 2001, chapter 4)."""

    quantiles: Floats
    """[BODY_QUANTILES] values at evenly spaced probabilities from 0 to `threshold`."""
    threshold: float
    """Probability at which the tail begins."""
    scale: float
    shape: float
    """0 is an exponential tail; larger ones are heavier."""

    @classmethod
    def fit(cls, values: Floats, threshold: float, shape: float) -> Self:
        """Fits the scale of the tail to the values above the quantile `threshold`; of no values, every p-value is 1.

        The shape is given: what a few clips have in their tail does not tell it.
        """
        if not values.size:
            return cls(np.zeros(BODY_QUANTILES), threshold, np.inf, shape)
        quantiles = np.quantile(values, np.linspace(0, threshold, BODY_QUANTILES))
        excesses = values[values > quantiles[-1]] - quantiles[-1]
        scale = float(excesses.mean()) * (1 - shape) if len(excesses) else 0.0
        spread = float(quantiles[-1] - quantiles[0])
        return cls(quantiles, threshold, max(scale, MIN_SCALE * max(spread, 1e-3)), shape)

    def log10(self, values: Floats) -> Floats:
        """Returns -log10 of the p-values, in the shape of `values`."""
        body = np.linspace(0, self.threshold, BODY_QUANTILES)
        steps = np.arange(BODY_QUANTILES) * 1e-12  # np.interp wants them to rise
        inside = np.interp(values, self.quantiles + steps, -np.log10(1 - body))
        return np.asarray(inside + pareto_log10(values - self.quantiles[-1], self.scale, self.shape))

    @classmethod
    def of_json(cls, table: dict[str, Any]) -> Self:
        """Returns the inverse of `dataclasses.asdict` after a journey through JSON."""
        return cls(**{**table, "quantiles": np.array(table["quantiles"], np.float64)})


def fit_pareto(excesses: Floats) -> tuple[float, float]:
    """Returns scale and shape of a generalised Pareto distribution by probability-weighted moments.

    Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto distribution", 1987. The shape is
    kept within [0, MAX_SHAPE]: a few excesses must not claim that there is a largest one.
    """
    if len(excesses) < 2:
        return (float(excesses.mean()) if len(excesses) else 0.0), 0.0
    ordered, count = np.sort(excesses), len(excesses)
    mean = float(ordered.mean())
    weighted = float((ordered * (count - 1 - np.arange(count))).mean() / (count - 1))
    denominator = mean - 2 * weighted
    shape = float(np.clip(2 - mean / denominator, 0.0, MAX_SHAPE)) if denominator > 0 else 0.0
    return mean * (1 - shape), shape


def pareto_log10(excesses: Floats, scale: float, shape: float) -> Floats:
    """Returns -log10 of the probability that an excess over the threshold is larger; 0 below the threshold."""
    relative = np.maximum(excesses, 0.0) / scale
    nats = np.log1p(shape * relative) / shape if shape > 0 else relative
    return np.asarray(nats / np.log(10))
