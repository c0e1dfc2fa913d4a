"""Ground truth: frame labels uint8 [F] and, for each frame, a mask uint8 [H, W]; 1 = abnormal.

Every function raises DatasetError that names the file and the mend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stmae.datasets.manifest import DatasetError

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Range = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """Where the ground truth of a test clip is, and how to read it.

    Without `labels`, a frame is abnormal where its mask has an abnormal pixel.
    """

    files: tuple[Path, ...]
    """The files or folders that hold it."""
    labels: Callable[[int], Labels] | None
    """Frame count of the clip -> labels [F]."""
    masks: Callable[[], Iterator[Mask]] | None
    """Masks [H, W] of 0 and 1 in the order of the frames, at the source's resolution."""


def check_count(path: Path, labels: int, frames: int, what: str = "labels") -> None:
    """Raises DatasetError where a truth file does not have one entry a frame."""
    if labels != frames:
        raise DatasetError(
            f"{path}: {labels} {what} for a clip of {frames} frames; each frame needs exactly one "
            "(is the clip cut, or the file of another clip?)"
        )


def check_size(path: Path, mask: Mask, height: int, width: int) -> None:
    """Raises DatasetError where a mask is not as large as the frames."""
    if mask.shape != (height, width):
        raise DatasetError(
            f"{path}: masks of shape {mask.shape} for frames of height {height} and width {width}; "
            "each mask has the size of its frame"
        )


def from_ranges(path: Path, ranges: Sequence[Range], frames: int) -> Labels:
    """Turns 1-based inclusive frame ranges into labels [frames]."""
    labels = np.zeros(frames, np.uint8)
    for first, last in ranges:
        if not 1 <= first <= last <= frames:
            raise DatasetError(
                f"{path}: abnormal frames {first}:{last} for a clip of {frames} frames; ranges are 1-based"
            )
        labels[first - 1 : last] = 1
    return labels


def frame_array(path: Path, frames: int) -> Labels:
    """Reads labels from a .npy file that holds one number a frame, 0 or 1."""
    array = _load_npy(path)
    if array.size != max(array.shape, default=0) or array.dtype.kind not in "buif":
        raise DatasetError(f"{path}: shape {array.shape}, type {array.dtype}; labels are one 0 or 1 a frame")
    if not np.isin(array, (0, 1)).all():
        raise DatasetError(f"{path}: labels other than 0 (normal) and 1 (abnormal)")
    check_count(path, array.size, frames)
    return array.reshape(-1).astype(np.uint8)


def mask_array(path: Path) -> Iterator[Mask]:
    """Reads masks from a .npy file, or a .npz file with the key `masks`: whole numbers [F, H, W], 0 = normal."""
    array = _load_npz(path, "masks") if path.suffix == ".npz" else _load_npy(path)
    if array.ndim != 3 or array.dtype.kind not in "bui":
        raise DatasetError(f"{path}: shape {array.shape}, type {array.dtype}; masks are whole numbers [F, H, W]")
    return ((mask > 0).astype(np.uint8) for mask in array)


def truth_of_arrays(label_file: Path, mask_file: Path) -> Truth | None:
    """Returns the truth in a label file and a mask file, whichever of them exist; None where neither does."""
    labels = partial(frame_array, label_file) if label_file.exists() else None
    masks = partial(mask_array, mask_file) if mask_file.exists() else None
    files = tuple(path for path in (label_file, mask_file) if path.exists())
    return Truth(files, labels, masks) if files else None


def shrink(mask: Mask, size: int) -> Mask:
    """Resamples a mask [H, W] to [size, size]. A pixel is abnormal where half of its area is.

    An anomaly that fills no half pixel keeps its fullest pixel, so that none vanishes.
    """
    area = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return (area >= min(0.5, float(area.max()))).astype(np.uint8) if mask.any() else np.zeros_like(area, np.uint8)


def load_mat(path: Path, key: str) -> npt.NDArray[Any]:
    """Reads a variable of a MATLAB file."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DatasetError(f"{path}: reading .mat files needs scipy; pip install 'stmae[train]'") from None
    try:
        array: npt.NDArray[Any] = loadmat(path)[key]
    except KeyError:
        raise DatasetError(f"{path}: no variable {key!r} in it; restore the official file") from None
    except Exception as error:  # scipy raises many types for a damaged file
        raise DatasetError(f"{path}: not a readable .mat file ({error}); restore it") from None
    return array


def _load_npy(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing; each test clip needs one") from None
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: not a readable .npy array ({error})") from None
    return array


def _load_npz(path: Path, key: str) -> npt.NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            array: npt.NDArray[Any] = archive[key]
    except KeyError:
        raise DatasetError(f"{path}: no array {key!r} in it; save with np.savez_compressed(path, {key}=...)") from None
    except Exception as error:  # zipfile and numpy raise many types for a damaged file
        raise DatasetError(f"{path}: not a readable .npz archive ({error})") from None
    return array
