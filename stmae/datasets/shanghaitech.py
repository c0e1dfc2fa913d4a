"""ShanghaiTech Campus (Luo et al., ICCV 2017): 13 cameras, 330 training videos and 107 test clips."""

from __future__ import annotations

from pathlib import Path

from stmae.config import Config
from stmae.datasets.footage import Footage, image_folders, locate, require_truth, scene_of, videos
from stmae.datasets.labels import truth_of_arrays

FPS = 24.0
FOLDERS = ("", "shanghaitech", "ShanghaiTech", "SHANGHAI")
MEND = "restore the official name"


def read(data_root: Path, _config: Config) -> tuple[Path, list[Footage]]:
    """Finds `training/videos/01_001.avi` (or `training/frames/01_001/`) and `testing/frames/01_0014/`; 01 is the scene.

    Raises DatasetError.
    """
    root = locate("shanghaitech", data_root, FOLDERS, ("training/videos", "training/frames"))
    folder = root / "training/videos"
    train = videos(folder) if folder.is_dir() else image_folders(root / "training/frames")
    footage = [Footage(clip.stem, "train", clip, FPS, scene=scene_of(clip, MEND)) for clip in train]
    for clip in image_folders(root / "testing/frames"):
        frame_labels = require_truth(root / "testing/test_frame_mask" / f"{clip.name}.npy", clip)
        pixel_masks = root / "testing/test_pixel_mask" / f"{clip.name}.npy"
        truth = truth_of_arrays(frame_labels, pixel_masks)
        footage.append(Footage(clip.name, "test", clip, FPS, truth, scene_of(clip, MEND)))
    return root, footage
