"""Single images: reading, ordering and resizing them."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def resize(image: Image, size: int) -> Image:
    """Resamples [H, W, 3] or [H, W] uint8 to [size, size(, 3)] by area averaging, the one resampling of the project."""
    if image.shape[:2] == (size, size):
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def read_image(path: Path, flags: int) -> Image | None:
    """Decodes an image file to [H, W, 3] BGR or [H, W], as OpenCV's `flags` say; None where it is not readable."""
    data = np.fromfile(path, dtype=np.uint8)
    if data.size == 0:
        return None
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def image_files(folder: Path) -> list[Path]:
    """Returns the images in `folder` in natural order. Hidden files (UCSD's archive has `._001.tif`) are left out."""
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted((file for file in files if file.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Returns a sort key under which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def width_x_height(shape: tuple[int, ...]) -> str:
    """Writes the size of an image of this array shape, e.g. 640x480."""
    return f"{shape[1]}x{shape[0]}"
