"""The combined score: surprises of four kinds at each tile become a tile map and a score a frame. numpy only.

A surprise is -ln of a share of normal footage, nats. Legend: F frames, W ways to be odd, tiles are [16,16].
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from stmae.scoring.norm import Kind
from stmae.scoring.usual import flat

Floats = npt.NDArray[np.floating]

WAYS: tuple[tuple[Kind, ...], ...] = (
    ("motion",),
    ("motion", "prediction"),
    ("motion", "appearance"),
    ("presence",),
)
"""To be odd: in one kind, or in two at the same tile."""
BASELINE_TILES = 4
"""Of which the baseline is the mean."""
KAPPA = 0.2
"""Of the e-values: the lower, the more is expected of what is odd, and the less of what is only unusual."""
TOP_TILES = 4
"""What is odd may be small; a tile alone would follow the noise."""
NEXT_TILES = 16
"""Those that come next are the rest of the crowd, as a rule: where everybody is a little odd, nobody is."""
NEXT_MOST = 1.5
"""Nats of their mean that are taken off, at most: what is very odd all over the view stays so."""
EARLY = 0.4
"""Of the time averaged over, by which something is there before and after it is seen: it comes, and goes, by parts."""


def tile_map(surprises: Mapping[Kind, Floats]) -> Floats:
    """How odd each tile is, whatever its kind: [F,16,16] a kind -> [F,16,16], nats.

    ln of the mean e-value of WAYS, that of a way being the product of its kinds'. As far as these are independent, at
    most a share of exp(-x) of normal tiles has x or more.
    """
    return _ln_mean(_maps(surprises), len(WAYS))


def either(first: Floats, second: Floats) -> Floats:
    """What is odd in one of two respects: the surprise whose e-value is the mean of theirs, any shape.

    It is the larger of the two where they agree, and ln(2) / (1 - KAPPA) less where only that one is a surprise.
    """
    return np.asarray((_ln_mean((_ln_e(first), _ln_e(second)), 2) - np.log(KAPPA)) / (1 - KAPPA))


def way_curves(surprises: Mapping[Kind, Floats], sigma: float) -> Floats:
    """How odd each frame is in each of WAYS by itself, [W,F], smoothed over `sigma` frames; of [F,16,16] a kind."""
    return np.stack([frame_score(each, sigma) for each in _maps(surprises)])


def flow_magnitude(flow_tiles_F2RC: Floats) -> Floats:
    """Mean flow magnitude, pixels, of the BASELINE_TILES fastest tiles, [F]: the baseline that evaluations print."""
    speed = np.hypot(flow_tiles_F2RC[:, 0], flow_tiles_F2RC[:, 1])
    return np.asarray(highest(speed, BASELINE_TILES).mean(axis=1))


def frame_score(tiles_FRC: Floats, sigma: float) -> Floats:
    """How far the highest tiles of each frame [F,16,16] stand out, [F], `sustained` over `sigma` frames.

    Their mean, less that of the next ones, of which from 0 to NEXT_MOST count.
    """
    ranked = highest(tiles_FRC, TOP_TILES + NEXT_TILES)
    top, following = ranked[:, :TOP_TILES].mean(axis=1), ranked[:, TOP_TILES:].mean(axis=1)
    return sustained(top - np.clip(following, 0.0, NEXT_MOST), sigma)


def sustained(values: Floats, sigma: float) -> Floats:
    """How high a curve of logarithms [F] is both before and after a frame, averaged over `sigma` frames, [F].

    The logarithm of the harmonic mean of both averages, Gaussian, of the frames up to one and from it on; the highest
    of frames within EARLY. An average over both sides would reach farther the odder something is, and make whoever is
    there before or after it odder than what is a little odd.
    """
    both = np.log(2) - np.logaddexp(-_until(values, sigma), -_until(values[::-1], sigma)[::-1])
    reach = round(EARLY * sigma)
    shifted = np.arange(len(both)) + np.arange(-reach, reach + 1)[:, None]
    return np.asarray(both[np.clip(shifted, 0, len(both) - 1)].max(axis=0)) if len(both) else both


def joined(surprises_WF: Floats) -> Floats:
    """The combined score [F], nats, of how unlikely a frame's curve is in each way: ln of the mean e-value.

    A mean of e-values is one however they depend on each other, so at most a share of exp(-x) of normal frames has x
    or more (Markov's inequality).
    """
    return _ln_mean((_ln_e(each) for each in surprises_WF), len(surprises_WF))


def highest(tiles_FRC: Floats, count: int) -> Floats:
    """Of [F,16,16] the highest ones a frame, [F,count], highest first."""
    ranked = np.partition(flat(tiles_FRC), -count, axis=1)[:, -count:]
    return np.asarray(np.sort(ranked, axis=1)[:, ::-1])


def _until(values: Floats, sigma: float) -> Floats:
    """Gaussian average of the frames up to each one, [F]; weights are renormalised at the start."""
    if sigma < 0.1 or len(values) < 2:
        return values.astype(np.float64)
    kernel = np.exp(-0.5 * (np.arange(int(np.ceil(3 * sigma)) + 1) / sigma) ** 2)
    weight = np.cumsum(kernel)[np.minimum(np.arange(len(values)), len(kernel) - 1)]
    return np.asarray(np.convolve(values, kernel)[: len(values)] / weight)


def _ln_e(surprise: Floats) -> Floats:
    """A surprise s is worth KAPPA * exp((1 - KAPPA) * s): what is normal 1 on average, what is odd more.

    Vovk and Wang, "E-values: calibration, combination and applications", 2021.
    """
    return np.asarray(np.log(KAPPA) + (1 - KAPPA) * surprise)


def _maps(surprises: Mapping[Kind, Floats]) -> Iterator[Floats]:
    """Of each of WAYS, ln of the e-values, [F,16,16]. One by one: of an hour of video, all would fill a gigabyte."""
    return (sum((_ln_e(surprises[kind]) for kind in kinds[1:]), _ln_e(surprises[kinds[0]])) for kinds in WAYS)


def _ln_mean(ln_e: Iterable[Floats], count: int) -> Floats:
    return np.asarray(functools.reduce(np.logaddexp, ln_e) - np.log(count))
