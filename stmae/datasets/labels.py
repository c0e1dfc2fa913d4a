"""Ground truth as the datasets ship it: frame labels uint8 [F] and masks uint8 [H, W] a frame, 1 = abnormal.

Every function raises DatasetError naming the file and the mend.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stmae.datasets.manifest import DatasetError
from stmae.video.reader import image_files, read_image

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Range = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """Where a test clip's ground truth is and how to read it. Without `labels` they follow from the masks."""

    files: tuple[Path, ...]
    """Files or folders that it is read from."""
    labels: Callable[[int], Labels] | None
    """Frame count of the clip -> [F]."""
    masks: Callable[[], Iterator[Mask]] | None
    """[H, W] 0/1 per frame, at the source's resolution."""


def check_count(path: Path, labels: int, frames: int, what: str = "labels") -> None:
    """Raise DatasetError where a truth file does not have one entry a frame."""
    if labels != frames:
        raise DatasetError(
            f"{path}: {labels} {what} for a clip of {frames} frames; each frame needs exactly one "
            "(is the clip cut, or the file of another clip?)"
        )


def check_size(path: Path, mask: Mask, height: int, width: int) -> None:
    """Raise DatasetError where a mask is not as large as the frames."""
    if mask.shape != (height, width):
        raise DatasetError(
            f"{path}: masks of shape {mask.shape} for frames of height {height} and width {width}; "
            "each mask has the size of its frame"
        )


def from_ranges(path: Path, ranges: Sequence[Range], frames: int) -> Labels:
    """1-based inclusive frame ranges -> [frames]."""
    labels = np.zeros(frames, np.uint8)
    for first, last in ranges:
        if not 1 <= first <= last <= frames:
            raise DatasetError(
                f"{path}: abnormal frames {first}:{last} for a clip of {frames} frames; ranges are 1-based"
            )
        labels[first - 1 : last] = 1
    return labels


def ucsd_m(path: Path) -> list[list[Range]]:
    """`UCSDped2.m`: per test clip, its abnormal ranges, as in `gt_frame = [61:180]` or `[1:30, 60:90]`."""
    clips = []
    for line in re.findall(r"gt_frame\s*=\s*\[?([^\];]*)\]?", path.read_text(encoding="latin-1")):
        ranges = re.findall(r"(\d+)\s*(?::\s*(\d+))?", line)
        clips.append([(int(first), int(last or first)) for first, last in ranges])
    if not clips:
        raise DatasetError(f"{path}: no `gt_frame = [first:last]` in it; restore the official file")
    return clips


def ped2_mat(path: Path) -> list[list[Range]]:
    """The circulated `ped2.mat`: cell `gt` [1, clips] of [2, ranges] (first row starts, second row ends)."""
    cells = _loadmat(path, "gt").ravel()
    try:
        # uint8 in the file: 180 would overflow in arithmetic.
        tables = [np.asarray(cell, np.int64).reshape(2, -1) for cell in cells]
    except (TypeError, ValueError):
        raise DatasetError(f"{path}: 'gt' is not a cell of [2, ranges] a clip; restore the official file") from None
    return [[(int(first), int(last)) for first, last in table.T] for table in tables]


def avenue_mat(path: Path) -> list[Mask]:
    """Avenue's `N_label.mat`: cell `volLabel` [1, F] of [H, W] masks."""
    cells = [np.asarray(cell) for cell in _loadmat(path, "volLabel").ravel()]
    if any(cell.ndim != 2 or cell.dtype.kind not in "buif" for cell in cells):
        raise DatasetError(f"{path}: 'volLabel' is not a cell of masks [H, W]; restore the official file")
    return [(cell > 0).astype(np.uint8) for cell in cells]


def frame_array(path: Path, frames: int) -> Labels:
    """ShanghaiTech's `test_frame_mask/*.npy` and one's own `labels/*.npy`: one number a frame, 0 or 1."""
    array = _loadnpy(path)
    if array.size != max(array.shape, default=0) or array.dtype.kind not in "buif":
        raise DatasetError(f"{path}: shape {array.shape}, type {array.dtype}; labels are one 0 or 1 a frame")
    if not np.isin(array, (0, 1)).all():
        raise DatasetError(f"{path}: labels other than 0 (normal) and 1 (abnormal)")
    check_count(path, array.size, frames)
    return array.reshape(-1).astype(np.uint8)


def mask_array(path: Path) -> Iterator[Mask]:
    """ShanghaiTech's `test_pixel_mask/*.npy`, one's own `masks/*.npz` (key `masks`): [F, H, W], 0 = normal."""
    array = _loadnpz(path, "masks") if path.suffix == ".npz" else _loadnpy(path)
    if array.ndim != 3 or array.dtype.kind not in "bui":
        raise DatasetError(f"{path}: shape {array.shape}, type {array.dtype}; masks are whole numbers [F, H, W]")
    return ((mask > 0).astype(np.uint8) for mask in array)


def mask_images(folder: Path) -> Iterator[Mask]:
    """UCSD's masks: one image a frame, 0 = normal, 255 = abnormal; in some copies 1."""
    files = image_files(folder)
    if not files:
        raise DatasetError(f"{folder}: no mask images in it; restore them or remove the folder")
    for file in files:
        mask = read_image(file, cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DatasetError(f"{file}: not a readable mask image; restore it")
        yield (mask > (127 if mask.max() > 1 else 0)).astype(np.uint8)


def shrink(mask: Mask, size: int) -> Mask:
    """[H, W] 0/1 -> [size, size] 0/1: abnormal is what half of its area is; an anomaly never vanishes."""
    area = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return (area >= min(0.5, float(area.max()))).astype(np.uint8) if mask.any() else np.zeros_like(area, np.uint8)


def _loadmat(path: Path, key: str) -> npt.NDArray[Any]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DatasetError(f"{path}: reading .mat files needs scipy; pip install 'stmae[train]'") from None
    try:
        array: npt.NDArray[Any] = loadmat(path)[key]
    except KeyError:
        raise DatasetError(f"{path}: no variable {key!r} in it; restore the official file") from None
    except Exception as error:  # scipy raises whatever the damage leads to
        raise DatasetError(f"{path}: not a readable .mat file ({error}); restore it") from None
    return array


def _loadnpy(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing; each test clip needs one") from None
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: not a readable .npy array ({error})") from None
    return array


def _loadnpz(path: Path, key: str) -> npt.NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            array: npt.NDArray[Any] = archive[key]
    except KeyError:
        raise DatasetError(f"{path}: no array {key!r} in it; save with np.savez_compressed(path, {key}=...)") from None
    except Exception as error:  # zipfile and numpy raise whatever the damage leads to
        raise DatasetError(f"{path}: not a readable .npz archive ({error})") from None
    return array
