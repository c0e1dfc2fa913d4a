"""Textures that the painted backdrops share."""

from __future__ import annotations

import cv2
import numpy as np

from stmae.datasets.synthetic.view import Floats


def clouds(height: int, width: int, scale: float, rng: np.random.Generator) -> Floats:
    """Returns smooth noise [H, W] of unit variance; `scale` is its grain as a fraction of the frame's height."""
    noise = rng.standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(0.4, scale * height))
    result: Floats = (smooth / smooth.std()).astype(np.float32)
    return result


def joint(position: Floats) -> Floats:
    """Returns 0 on the joints between slabs of width 1, and 1 inside the slabs."""
    result: Floats = np.clip(np.abs((position % 1) - 0.5) * -14 + 7, 0, 1).astype(np.float32)
    return result


def pale(image: Floats) -> Floats:
    """Returns the image with the weak colours of a cheap camera."""
    grey = image.mean(axis=2, keepdims=True)
    result: Floats = (0.72 * image + 0.28 * grey).astype(np.float32)
    return result


def cut_out(outlines: list[list[tuple[float, float]]], height: int, width: int) -> Floats:
    """Returns how much of each pixel polygons cover, [H, W, 1] in 0..1; their corners are (x, y) in pixels."""
    cover = np.zeros((height * 4, width * 4), np.uint8)
    for outline in outlines:
        cv2.fillPoly(cover, [np.array([(x * 4, y * 4) for x, y in outline], np.int32)], (255,))
    small = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
    result: Floats = small / np.float32(255)
    return result
