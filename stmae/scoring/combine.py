"""Combination of p-values by e-values, and of tiles into a value a frame. Everything is in units of log10.

An e-value is a nonnegative number that is 1 on average on normal footage. A product of independent e-values is one,
and so is the mean of any e-values, however they depend on each other (Vovk and Wang, "E-values: calibration,
combination and applications", 2021).
"""

from __future__ import annotations

import numpy as np

from stmae.scoring.raw import Floats

TOP_TILES = 2
"""Highest tiles that count for a frame: an anomaly may be small, and a single tile follows the noise."""
NEXT_TILES = 16
"""Tiles that come next: where these are high too, the whole crowd is, and the highest stand out less."""
NEXT_MOST = 0.65
"""Most, in units of -log10 p, that the mean of the next tiles takes off."""


def e_value(log10_p: Floats) -> Floats:
    """Returns log10 of the e-value 1 / (2 sqrt(p)) of each -log10 p."""
    return np.asarray(0.5 * log10_p - np.log10(2))


def merge(log10_p: Floats) -> Floats:
    """Returns [F], log10 of the mean e-value of D detectors [F,D] that may depend on each other in any way.

    By Markov's inequality at most 10**-x of normal values reach x: it is as good as a -log10 p.
    """
    return np.asarray(
        np.logaddexp.reduce(e_value(log10_p) * np.log(10), axis=1) / np.log(10) - np.log10(log10_p.shape[1])
    )


def together(first: Floats, second: Floats) -> Floats:
    """Returns log10 of the product of the e-values of two detectors at each tile: they have to agree on it."""
    return e_value(first) + e_value(second)


def pool(tiles_FRC: Floats) -> Floats:
    """Returns [F]: how far the TOP_TILES highest tiles of each frame stand out from the NEXT_TILES that follow."""
    ranked = -np.sort(-tiles_FRC.reshape(len(tiles_FRC), -1), axis=1)[:, : TOP_TILES + NEXT_TILES]
    following = ranked[:, TOP_TILES:].mean(axis=1)
    return np.asarray(ranked[:, :TOP_TILES].mean(axis=1) - np.clip(following, 0.0, NEXT_MOST))
