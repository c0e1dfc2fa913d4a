"""Combination of p-values by e-values, and of tiles into a value a frame.

An e-value is a nonnegative number that is 1 on average on normal footage. Products of independent e-values are one,
and so is the mean of any e-values, however they depend on each other (Vovk and Wang, "E-values: calibration,
combination and applications", 2021). Everything here is in units of log10. Legend: F frames, tiles are [16,16].
"""

from __future__ import annotations

import numpy as np

from stmae.scoring.raw import Floats

KAPPA = 0.3
"""Exponent of the calibrator p -> KAPPA * p**(KAPPA - 1), which turns a p-value into an e-value: the lower, the more
is expected of what is anomalous."""
TOP_TILES = 4
"""Highest tiles that count for a frame: an anomaly may be small, and a single tile follows the noise."""
NEXT_TILES = 16
"""Tiles that come next: where these are high too, the whole crowd is, and the highest stand out less."""
NEXT_MOST = 0.65
"""Most, in units of -log10 p, that the mean of the next tiles takes off."""


def e_value(log10_p: Floats) -> Floats:
    """Returns log10 of the e-value of each -log10 p."""
    return np.asarray(np.log10(KAPPA) + (1 - KAPPA) * log10_p)


def merge(log10_p: Floats) -> Floats:
    """Returns [F], log10 of the mean e-value of D detectors [D,F] that may depend on each other in any way.

    By Markov's inequality at most 10**-x of normal values reach x: it is as good as a -log10 p.
    """
    return np.asarray(np.logaddexp.reduce(e_value(log10_p) * np.log(10)) / np.log(10) - np.log10(len(log10_p)))


def together(first: Floats, second: Floats) -> Floats:
    """Returns log10 of the product of the e-values of two detectors at each tile: they have to agree on it."""
    return e_value(first) + e_value(second)


def pool(tiles_FRC: Floats) -> Floats:
    """Returns [F]: how far the TOP_TILES highest tiles of each frame stand out from the NEXT_TILES that follow."""
    flat = tiles_FRC.reshape(len(tiles_FRC), -1)
    ranked = -np.sort(-np.partition(flat, -TOP_TILES - NEXT_TILES, axis=1)[:, -TOP_TILES - NEXT_TILES :], axis=1)
    following = ranked[:, TOP_TILES:].mean(axis=1)
    return np.asarray(ranked[:, :TOP_TILES].mean(axis=1) - np.clip(following, 0.0, NEXT_MOST))
