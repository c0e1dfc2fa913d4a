"""Pictures in a page: data URIs of JPEGs and SVGs, and heat maps laid over frames."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""[H, W, 3] RGB."""

JPEG_QUALITY = 85


class Picture(NamedTuple):
    """What an <img> needs."""

    uri: str
    alt: str
    """Text for those who cannot see it."""


def jpeg(image_rgb: Image, alt: str) -> Picture:
    """Encodes an [H, W, 3] RGB image. Raises ValueError where it cannot be encoded."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise ValueError(f"image of shape {image_rgb.shape}: cannot be encoded as JPEG")
    return Picture("data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii"), alt)


def svg(drawing: str, alt: str) -> Picture:
    """Wraps an SVG document. As an image it can neither run scripts nor clash with the ids of the page."""
    return Picture("data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8")).decode("ascii"), alt)


def heat_overlay(image_rgb: Image, heatmap: npt.NDArray[np.floating], brightest: float) -> Image:
    """Lays a heat map of tiles [16, 16] over a picture [H, W, 3] RGB.

    The picture is greyed so that all colour is the map's; colour and opacity grow with the value up to `brightest`.
    """
    height, width = image_rgb.shape[:2]
    level = np.clip(np.asarray(heatmap, np.float32) / max(brightest, 1e-12), 0.0, 1.0)
    level = np.clip(cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    heat = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32)
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    opacity = 0.85 * np.sqrt(level)[..., None]
    blend: Image = np.clip(grey * (1 - opacity) + heat * opacity, 0, 255).astype(np.uint8)
    return blend
