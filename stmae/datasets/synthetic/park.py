"""Scene 3: a path through a park, seen from low down and close by. Runners are normal in it."""

from __future__ import annotations

import cv2
import numpy as np

from stmae.datasets.synthetic.texture import clouds, cut_out, pale
from stmae.datasets.synthetic.view import Backdrop, Floats, View


def paint(view: View, height: int, width: int, rng: np.random.Generator) -> Backdrop:
    """Paints trees, a meadow, a sandy path with ragged edges, and a trunk and a branch in front."""
    row = np.mgrid[0:height, 0:width][0].astype(np.float32) / height
    image = _meadow(height, width, rng)
    ragged = 0.008 * clouds(height, width, 0.02, rng)[:1]
    on_path = (row > view.pavement[0] + ragged) & (row < view.pavement[1] + 0.02 - ragged)
    sand = np.array([176, 154, 118], np.float32) * (1 + 0.05 * clouds(height, width, 0.004, rng))[..., None]
    sand *= (1 + 0.06 * clouds(height, width, 0.07, rng))[..., None]
    image = np.where(on_path[..., None], sand, image)
    image = np.where((row < 0.36)[..., None], _wood(height, width, rng), image)
    # Sunlight through leaves that are outside the view.
    dapple = np.clip(clouds(height, width, 0.035, rng) + 0.4, 0, 1) * (row > 0.34)
    image = image * (1 - 0.3 * dapple[..., None])
    front, cover = _trunk(height, width, rng)
    return Backdrop(pale(image), front, cover, np.ones((height, width, 1), np.float32))


def _meadow(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints grass that is coarser near the camera."""
    far, near = clouds(height, width, 0.003, rng), clouds(height, width, 0.008, rng)
    closeness = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    value = 1 + 0.12 * (far * (1 - closeness) + near * closeness) + 0.1 * clouds(height, width, 0.08, rng)
    meadow: Floats = np.array([104, 134, 66], np.float32) * value[..., None]
    return meadow


def _wood(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Paints the edge of a wood: trunks, and leaves lit from the right."""
    wood = np.full((height, width, 3), (58, 70, 46), np.float32)
    for x in rng.uniform(0, width, 16):
        half = float(rng.uniform(0.006, 0.013)) * width
        wood[: int(0.35 * height), max(0, int(x - half)) : int(x + half) + 1] = (82, 66, 50)
    leaves = clouds(height, width, 0.018, rng) + 0.6 * clouds(height, width, 0.006, rng)
    lit = cv2.GaussianBlur(leaves, (0, 0), 1.0) - np.roll(leaves, -2, axis=1)
    crowns = leaves > np.linspace(-2.2, 6.0, height, dtype=np.float32)[:, None]
    foliage = np.array([82, 112, 52], np.float32) * (1 + 0.25 * np.clip(lit, -2, 2))[..., None]
    result: Floats = np.where(crowns[..., None], foliage, wood)
    return result


def _trunk(height: int, width: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Returns colour [H, W, 3] and cover [H, W, 1] of a tree near the camera whose leaves hang into the view."""
    x, half, foot = 0.88 * width, 0.024 * width, 0.93 * height
    trunk = [(x - half, 0), (x + half, 0), (x + 1.3 * half, foot), (x + 1.9 * half, foot + half)]
    trunk += [(x - 1.9 * half, foot + half), (x - 1.3 * half, foot)]
    cover = cut_out([trunk], height, width)
    bark = np.array([84, 70, 56], np.float32) * (1 + 0.2 * clouds(height, width, 0.006, rng))[..., None]
    bark *= (1 + 0.35 * np.clip((np.arange(width) - x) / half, -1, 1))[None, :, None]
    hanging = clouds(height, width, 0.014, rng) - np.linspace(-0.4, 18, height, dtype=np.float32)[:, None]
    leaves = cv2.GaussianBlur((hanging > 0).astype(np.float32), (0, 0), 0.7)[..., None]
    green = np.array([74, 100, 48], np.float32) * (1 + 0.25 * clouds(height, width, 0.005, rng))[..., None]
    front = np.where(leaves > 0.3, green, bark)
    return front.astype(np.float32), np.maximum(cover, leaves)


VIEW = View(
    camera_height_m=3.6,
    horizon=0.12,
    pavement=(0.48, 0.84),
    crossing=(0.58, 0.76),
    spots=(0.1, 0.78),
    shadow=(-0.85, -0.12),
    shade=0.42,
    noise=2.4,
    paint=paint,
)
