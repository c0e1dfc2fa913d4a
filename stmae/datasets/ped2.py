"""UCSD Ped2 (Mahadevan et al., CVPR 2010): one camera, 16 training and 12 test clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from stmae.config import Config
from stmae.datasets.footage import Footage, clip_number, image_folders, locate
from stmae.datasets.labels import Mask, Range, Truth, from_ranges, load_mat
from stmae.datasets.manifest import DatasetError
from stmae.video.images import image_files, read_image

FPS = 10.0
FOLDERS = ("", "ped2", "UCSDped2", "UCSD_Anomaly_Dataset.v1p2/UCSDped2")


def read(data_root: Path, _config: Config) -> tuple[Path, list[Footage]]:
    """Finds the clips in the official layout, `Train/Train001/001.tif`, or as circulated, `training/frames/01/000.jpg`.

    Labels come from `UCSDped2.m`, else `ped2.mat`, else the masks. Raises DatasetError.
    """
    root = locate("ped2", data_root, FOLDERS, ("Train/Train001", "training/frames"))
    if (root / "Train").is_dir():
        train = image_folders(root / "Train", r"Train\d+")
        test = image_folders(root / "Test", r"Test\d+")
        mask_folders = {clip.name: clip.parent / f"{clip.name}_gt" for clip in test}
    else:
        train, test = image_folders(root / "training/frames"), image_folders(root / "testing/frames")
        mask_folders = {clip.name: root / "testing/masks" / clip.name for clip in test}
    ranges = _find_ranges(root)
    footage = [Footage(clip.name, "train", clip, FPS) for clip in train]
    footage += [Footage(clip.name, "test", clip, FPS, _truth(clip, ranges, mask_folders[clip.name])) for clip in test]
    return root, footage


def ranges_of_m_file(path: Path) -> list[list[Range]]:
    """Reads `UCSDped2.m`: the abnormal ranges of each test clip, as in `gt_frame = [61:180]` or `[1:30, 60:90]`."""
    clips = []
    for line in re.findall(r"gt_frame\s*=\s*\[?([^\];]*)\]?", path.read_text(encoding="latin-1")):
        ranges = re.findall(r"(\d+)\s*(?::\s*(\d+))?", line)
        clips.append([(int(first), int(last or first)) for first, last in ranges])
    if not clips:
        raise DatasetError(f"{path}: no `gt_frame = [first:last]` in it; restore the official file")
    return clips


def ranges_of_mat_file(path: Path) -> list[list[Range]]:
    """Reads the circulated `ped2.mat`: cell `gt` [1, clips] of [2, ranges], first row starts, second row ends."""
    cells = load_mat(path, "gt").ravel()
    try:
        # The file holds uint8: 180 would overflow in arithmetic.
        tables = [np.asarray(cell, np.int64).reshape(2, -1) for cell in cells]
    except (TypeError, ValueError):
        raise DatasetError(f"{path}: 'gt' is not a cell of [2, ranges] a clip; restore the official file") from None
    return [[(int(first), int(last)) for first, last in table.T] for table in tables]


def mask_images(folder: Path) -> Iterator[Mask]:
    """Yields the masks [H, W] of a folder with one image a frame: 0 = normal, 255 (in some copies 1) = abnormal."""
    files = image_files(folder)
    if not files:
        raise DatasetError(f"{folder}: no mask images in it; restore them or remove the folder")
    for file in files:
        mask = read_image(file, cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DatasetError(f"{file}: not a readable mask image; restore it")
        yield (mask > (127 if mask.max() > 1 else 0)).astype(np.uint8)


def _find_ranges(root: Path) -> tuple[Path, list[list[Range]]] | None:
    """Returns the first file with frame labels and the ranges in it."""
    for name, read_ranges in (
        ("UCSDped2.m", ranges_of_m_file),
        ("Test/UCSDped2.m", ranges_of_m_file),
        ("ped2.mat", ranges_of_mat_file),
    ):
        if (root / name).is_file():
            return root / name, read_ranges(root / name)
    return None


def _truth(clip: Path, ranges: tuple[Path, list[list[Range]]] | None, mask_folder: Path) -> Truth:
    masks = partial(mask_images, mask_folder) if mask_folder.is_dir() and image_files(mask_folder) else None
    files = (mask_folder,) if masks else ()
    if ranges is None:
        if masks is None:
            raise DatasetError(
                f"{mask_folder}: missing, and no UCSDped2.m or ped2.mat: no ground truth for {clip.name}"
            )
        return Truth(files, None, masks)
    path, table = ranges
    number = clip_number(clip)
    if not 1 <= number <= len(table):
        raise DatasetError(
            f"{path}: ranges of {len(table)} test clips, none for {clip.name}; restore the official file"
        )
    return Truth((path, *files), partial(from_ranges, path, table[number - 1]), masks)
