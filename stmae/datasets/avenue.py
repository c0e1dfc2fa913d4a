"""CUHK Avenue (Lu et al., ICCV 2013): one camera, 16 training and 21 test videos."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from stmae.config import Config
from stmae.datasets.footage import Footage, clip_number, locate, require_truth, videos
from stmae.datasets.labels import Mask, Truth, load_mat
from stmae.datasets.manifest import DatasetError

FPS = 25.0
FOLDERS = ("", "avenue", "Avenue Dataset", "avenue-sample")
MASKS = "ground_truth_demo/testing_label_mask"


def read(data_root: Path, _config: Config) -> tuple[Path, list[Footage]]:
    """Finds `training_videos/01.avi`, `testing_videos/01.avi` and `testing_label_mask/1_label.mat`.

    Raises DatasetError.
    """
    root = locate("avenue", data_root, FOLDERS, ("training_videos",))
    # The authors' site has the ground truth as a separate download, which many unpack beside the videos' folder.
    candidates = (root / MASKS, root.parent / MASKS)
    folder = next((candidate for candidate in candidates if candidate.is_dir()), candidates[0])
    footage = [Footage(video.stem, "train", video, FPS) for video in videos(root / "training_videos")]
    for video in videos(root / "testing_videos"):
        path = require_truth(folder / f"{clip_number(video)}_label.mat", video)
        footage.append(Footage(video.stem, "test", video, FPS, Truth((path,), None, partial(masks_of_mat_file, path))))
    return root, footage


def masks_of_mat_file(path: Path) -> Iterator[Mask]:
    """Reads the masks [H, W] of `N_label.mat`: cell `volLabel` [1, F]. Raises DatasetError."""
    cells = [np.asarray(cell) for cell in load_mat(path, "volLabel").ravel()]
    if any(cell.ndim != 2 or cell.dtype.kind not in "buif" for cell in cells):
        raise DatasetError(f"{path}: 'volLabel' is not a cell of masks [H, W]; restore the official file")
    return ((cell > 0).astype(np.uint8) for cell in cells)
