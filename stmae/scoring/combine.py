"""Combination of p-values by e-values. Everything is in units of log10.

An e-value is a nonnegative number that is 1 on average on normal footage. A product of independent e-values is one,
and so is the mean of any e-values, however they depend on each other (Vovk and Wang, "E-values: calibration,
combination and applications", 2021).
"""

from __future__ import annotations

import numpy as np

from stmae.scoring.raw import Floats


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
