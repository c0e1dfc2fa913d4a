"""Scene 2: the concourse of a railway station, seen from a gallery. Carts are normal in it."""

from __future__ import annotations

import numpy as np

from stmae.datasets.synthetic.texture import clouds, cut_out, joint, pale
from stmae.datasets.synthetic.view import Backdrop, Floats, View


def paint(view: View, height: int, width: int, rng: np.random.Generator) -> Backdrop:
    """Paints a wall with arched windows, kiosks and a board, polished tiles, and two pillars in front."""
    row = np.mgrid[0:height, 0:width][0].astype(np.float32) / height
    image = np.where((row < view.pavement[0])[..., None], _wall(height, width, rng), _tiles(view, height, width, rng))
    front, cover = _pillars(height, width)
    return Backdrop(pale(image), front, cover, np.ones((height, width, 1), np.float32))


def _tiles(view: View, height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints light and dark tiles of 1.6 x 1.6 m that reflect the windows."""
    away, right = view.ground_m(height, width)
    depth, across = away / 1.6, right / 1.6 + 64
    dark = (np.floor(depth) + np.floor(across)) % 2
    tone = rng.normal(0, 0.02, 4096).astype(np.float32)[(np.floor(depth) * 131 + np.floor(across)).astype(int) % 4096]
    value = (178 - 46 * dark) * (1 + tone + 0.03 * clouds(height, width, 0.03, rng))
    value *= 0.9 + 0.1 * np.minimum(joint(depth), joint(across))
    shine = np.zeros((height, width), np.float32)
    for middle in _WINDOWS:
        shine += np.exp(-(((np.arange(width) / width - middle) / 0.045) ** 2))
    fading = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    value += 34 * shine * fading
    tiles: Floats = value[..., None] * np.array([1.0, 0.965, 0.9], np.float32)
    return tiles


_WINDOWS = (0.12, 0.37, 0.62, 0.87)
"""Columns of the windows' middles, fractions of the frame's width."""


def _wall(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints sandstone with arched windows, kiosks below, and a departures board."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    row, column = yy / height, xx / width
    wall = np.full((height, width, 3), (190, 176, 148), np.float32)
    wall *= (1 + 0.05 * clouds(height, width, 0.02, rng))[..., None]
    for middle in _WINDOWS:
        half = 0.06 * np.sqrt(np.clip((row + 0.02) / 0.12, 0, 1))  # round at the top
        glass = (np.abs(column - middle) < half) & (row < 0.2)
        wall[glass] = (212, 224, 232)
        wall[glass & ((np.abs(column - middle) < 0.004) | (np.abs(row - 0.1) < 0.005))] = (110, 112, 112)
    for left in (0.05, 0.55):
        kiosk = (column > left) & (column < left + 0.14) & (row > 0.24)
        wall[kiosk] = (70, 84, 80)
        wall[kiosk & (row > 0.27) & (row < 0.33)] = (222, 204, 150)
    board = (column > 0.43) & (column < 0.56) & (row > 0.03) & (row < 0.15)
    wall[board] = (24, 28, 34)
    lines = board & ((row * 100 % 3) < 1.2) & (rng.random((height, width)) < 0.6)
    wall[lines] = (196, 170, 70)
    wall[row > 0.385] *= 0.72  # the skirting
    return wall


def _pillars(height: int, width: int) -> tuple[Floats, Floats]:
    """Returns colour [H, W, 3] and cover [H, W, 1] of two round pillars near the camera."""
    outlines = []
    tone = np.full((height, width), 120, np.float32)
    for middle in (0.25, 0.76):
        x, half = middle * width, 0.024 * width
        outlines.append([(x - half, 0.0), (x + half, 0.0), (x + half, 1.0 * height), (x - half, 1.0 * height)])
        round_side = np.clip((np.arange(width) - x) / half, -1, 1)
        near = np.abs(np.arange(width) - x) <= half + 1
        tone[:, near] = (150 * np.sqrt(1 - 0.9 * (round_side - 0.25) ** 2 / 1.6))[near]
    front = tone[..., None] * np.array([1.04, 0.98, 0.86], np.float32)
    return front.astype(np.float32), cut_out(outlines, height, width)


VIEW = View(
    camera_height_m=6.0,
    horizon=0.02,
    pavement=(0.41, 0.98),
    crossing=(0.58, 0.82),
    spots=(0.33, 0.68),
    shadow=(-0.14, 0.05),
    shade=0.26,
    noise=1.8,
    paint=paint,
)
