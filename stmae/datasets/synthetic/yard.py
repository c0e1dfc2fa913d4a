"""Scene 4: the yard of a warehouse on a dim evening, seen from its roof. Cyclists are normal in it."""

from __future__ import annotations

import numpy as np

from stmae.datasets.synthetic.texture import clouds, cut_out, pale
from stmae.datasets.synthetic.view import Backdrop, Floats, View

_LAMPS = (0.2, 0.78)
"""Columns of the lamps on the wall, fractions of the frame's width."""


def paint(view: View, height: int, width: int, rng: np.random.Generator) -> Backdrop:
    """Paints roller gates, asphalt with painted bays, pools of light under lamps, and a railing in front."""
    row = np.mgrid[0:height, 0:width][0].astype(np.float32) / height
    image = np.where((row < 0.22)[..., None], _gates(height, width, rng), _asphalt(view, height, width, rng))
    front = np.full((height, width, 3), (170, 172, 172), np.float32)
    return Backdrop(pale(image), front, _railing(height, width), _evening(height, width))


def _asphalt(view: View, height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints asphalt with bays of 4 m along the wall, oil stains and a mended strip."""
    away, right = view.ground_m(height, width)
    value = 104 * (1 + 0.07 * clouds(height, width, 0.004, rng) + 0.06 * clouds(height, width, 0.05, rng))
    stains = np.clip(clouds(height, width, 0.04, rng) - 1.1, 0, 1)
    value *= 1 - 0.4 * stains
    strip = np.abs(right - 1.2 - 0.12 * away) < 0.5
    value = np.where(strip, 0.8 * value, value)
    asphalt = value[..., None] * np.array([0.98, 1.0, 1.03], np.float32)
    row = np.mgrid[0:height, 0:width][0].astype(np.float32) / height
    bays = (np.abs(right % 4 - 2) < 0.09) & (row < 0.36)
    edge = np.abs(row - 0.36) < 0.006
    asphalt[bays | edge] = (176, 168, 120)
    return asphalt.astype(np.float32)


def _gates(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints corrugated steel with three roller gates, one of them half open."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    row, column = yy / height, xx / width
    wall = np.full((height, width, 3), (112, 120, 128), np.float32)
    wall *= (1 + 0.1 * np.sin(xx / width * 2 * np.pi * 60) + 0.03 * clouds(height, width, 0.02, rng))[..., None]
    for left, top in ((0.08, 0.03), (0.42, 0.03), (0.72, 0.03)):
        gate = (column > left) & (column < left + 0.2) & (row > top)
        wall[gate] = (148, 140, 118)
        wall[gate & ((row * 100 % 2.4) < 0.8)] *= 0.82
    wall[(column > 0.42) & (column < 0.62) & (row > 0.14)] = (34, 34, 36)
    return wall


def _evening(height: int, width: int) -> Floats:
    """Returns the light: blue dusk everywhere, warm light under each lamp."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    row, column = yy / height, xx / width
    light = np.full((height, width, 3), (0.46, 0.5, 0.6), np.float32)
    for x in _LAMPS:
        pool = np.exp(-(((column - x) / 0.2) ** 2) - ((row - 0.42) / 0.3) ** 2)
        bulb = np.exp(-(((column - x) / 0.012) ** 2) - ((row - 0.02) / 0.02) ** 2)
        light += pool[..., None] * np.array([0.62, 0.52, 0.34], np.float32) + 2 * bulb[..., None]
    return light.astype(np.float32)


def _railing(height: int, width: int) -> Floats:
    """Returns the cover [H, W, 1] of the roof's railing, low in the view."""
    outlines = []
    for row, half in ((0.935, 0.007), (0.985, 0.005)):
        top, bottom = (row - half) * height, (row + half) * height
        outlines.append([(0.0, top), (float(width), top), (float(width), bottom), (0.0, bottom)])
    for column in (0.05, 0.3, 0.55, 0.8):
        left, right = column * width, (column + 0.012) * width
        outlines.append([(left, 0.93 * height), (right, 0.93 * height), (right, float(height)), (left, float(height))])
    return cut_out(outlines, height, width)


VIEW = View(
    camera_height_m=9.0,
    horizon=-0.40,
    pavement=(0.33, 0.95),
    crossing=(0.50, 0.78),
    spots=(0.1, 0.9),
    shadow=(0.3, -0.3),
    shade=0.4,
    noise=4.0,
    paint=paint,
)
