"""Scene 1: a pavement in front of a brick house, seen from a first floor across the street."""

from __future__ import annotations

import numpy as np

from stmae.datasets.synthetic.texture import clouds, cut_out, joint, pale
from stmae.datasets.synthetic.view import Backdrop, Floats, View


def paint(view: View, height: int, width: int, rng: np.random.Generator) -> Backdrop:
    """Paints a wall with windows, a hedge, slabs in perspective, a lawn, and a lamp post in front."""
    row = np.mgrid[0:height, 0:width][0].astype(np.float32) / height
    image = _slabs(view, height, width, rng)
    image = np.where((row < 0.30)[..., None], _wall(height, width, rng), image)
    hedge_top = 0.27 + 0.03 * (clouds(height, width, 0.03, rng)[:1] + 0.2)
    hedge = np.array([62, 82, 50], np.float32) * (1 + 0.38 * clouds(height, width, 0.008, rng))[..., None]
    hedge *= (1.25 - 1.6 * np.clip(row - 0.28, 0, 0.1) / 0.1 * 0.4)[..., None]
    image = np.where(((row >= hedge_top) & (row < view.pavement[0] - 0.02))[..., None], hedge, image)
    lawn = np.array([100, 112, 76], np.float32) * (1 + 0.14 * clouds(height, width, 0.005, rng))[..., None]
    lawn *= (1 + 0.1 * clouds(height, width, 0.06, rng))[..., None]
    edge = view.pavement[1] + 0.012 * clouds(height, width, 0.02, rng)[-1:]
    image = np.where((row > edge)[..., None], lawn, image)
    kerb = (row >= view.pavement[0] - 0.02) & (row < view.pavement[0])
    image = np.where(kerb[..., None], np.array([168, 164, 156], np.float32), image)
    image = _bench(image.astype(np.float32), height, width)
    # Shade of trees outside the view, over everything on the ground.
    shade = np.clip(clouds(height, width, 0.09, rng) * 1.6 + 0.1, 0, 1) * (row > 0.33)
    image = image * (1 - 0.2 * shade[..., None])
    front, cover = _lamp_post(height, width)
    return Backdrop(pale(image), front, cover, np.ones((height, width, 1), np.float32))


def _slabs(view: View, height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints slabs of 1.2 x 1.2 m with joints and stains, seen in perspective."""
    away, right = view.ground_m(height, width)
    depth, across = away / 1.2, right / 1.2 + 64
    slab = np.floor(depth).astype(int) * 131 + np.floor(across + 0.5 * (np.floor(depth) % 2)).astype(int)
    tone = rng.normal(0, 0.035, 4096).astype(np.float32)[slab % 4096]
    inside = np.minimum(joint(depth), joint(across + 0.5 * (np.floor(depth) % 2)))
    value = 146 * (1 + tone + 0.07 * clouds(height, width, 0.05, rng) + 0.06 * clouds(height, width, 0.004, rng))
    value = value * (0.84 + 0.16 * inside)
    slabs: Floats = value[..., None] * np.array([1.02, 1.0, 0.95], np.float32)
    return slabs


def _wall(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints brickwork with a row of windows and a door."""
    bottom = int(0.31 * height)
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = np.array([142, 112, 98], np.float32)
    course = max(3, height // 48)
    for i, y in enumerate(range(0, bottom, course)):
        wall[y : y + 1] *= 1.14
        for x in range((i % 2) * course, width, 2 * course):
            wall[y + 1 : y + course, x : x + 2 * course] *= 1 + rng.normal(0, 0.05)
            wall[y + 1 : y + course, x : x + 1] *= 1.1
    for left in np.arange(0.06, 1.0, 0.19):
        x0, x1 = int(left * width), int((left + 0.10) * width)
        y0, y1 = int(0.04 * height), int(0.19 * height)
        if 0.42 < left < 0.55:
            y1 = bottom
        wall[y0 - 1 : y1 + 2, x0 - 2 : x1 + 2] = (184, 178, 168)
        wall[y0:y1, x0:x1] = (58, 66, 76)
        glint = np.linspace(1.5, 0.8, x1 - x0, dtype=np.float32)[None, :, None]
        wall[y0:y1, x0:x1] *= glint
        wall[y0:y1, (x0 + x1) // 2] = (176, 170, 160)
    return wall * (1 + 0.05 * clouds(height, width, 0.03, rng))[..., None]


def _bench(image: Floats, height: int, width: int) -> Floats:
    """Adds a bench beside the path, with its shadow."""
    x0, x1, y = int(0.08 * width), int(0.24 * width), int(0.385 * height)
    step = max(1, height // 72)
    image[y + step : y + 3 * step, x0 + 2 * step : x1 + 4 * step] *= 0.7
    for row in range(3):
        top = y - 4 * step + row * 2 * step
        image[top : top + step, x0:x1] = (112, 84, 60)
    for leg in (x0 + step, x1 - 2 * step):
        image[y - 4 * step : y + 2 * step, leg : leg + step] = (52, 52, 54)
    return image


def _lamp_post(height: int, width: int) -> tuple[Floats, Floats]:
    """Returns colour [H, W, 3] and cover [H, W, 1] of a lamp post near the camera."""
    x, foot, half = 0.83 * width, 0.955 * height, 0.014 * height
    top, bottom = foot - 5 * half, foot + half
    shaft = [(x - half, foot), (x + half, foot), (x + 0.6 * half, 0), (x - 0.6 * half, 0)]
    base = [(x - 2 * half, bottom), (x + 2 * half, bottom), (x + half, top), (x - half, top)]
    shine = np.exp(-(((np.arange(width) - 0.826 * width) / (0.008 * width)) ** 2))
    tone = np.array([0.95, 1.0, 0.98]) * (70 + 40 * shine[:, None])
    return np.broadcast_to(tone.astype(np.float32), (height, width, 3)), cut_out([shaft, base], height, width)


VIEW = View(
    camera_height_m=7.0,
    horizon=-0.15,
    pavement=(0.36, 0.90),
    crossing=(0.52, 0.74),
    spots=(0.2, 0.8),
    shadow=(0.62, 0.16),
    shade=0.38,
    noise=2.2,
    paint=paint,
)
