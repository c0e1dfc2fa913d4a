"""Footage of a few frames in the layouts of the datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.io import savemat

from stmae.config import Config, DataConfig, ModelConfig
from stmae.video.writer import write_video

SIZE = 32
Bytes = npt.NDArray[np.uint8]


def config(reader: str = "folder", **data: object) -> Config:
    """Returns a configuration for frames of 32 x 32 pixels; `data` are values of its `[data]` section."""
    fps = {"avenue": 25.0, "shanghaitech": 24.0}.get(reader, 10.0)
    settings = dataclasses.replace(DataConfig(reader=reader, fps=fps), **data)  # type: ignore[arg-type]
    return Config(name="test", data=settings, model=ModelConfig(size=SIZE))


def clip(frames: int, seed: int = 0, height: int = 40, width: int = 60) -> list[Bytes]:
    """Returns RGB frames in which a random texture moves to the right, 1 pixel a frame."""
    texture = np.random.default_rng(seed).integers(0, 200, (height, width, 3), dtype=np.uint8)
    return [np.roll(texture, i, axis=1) for i in range(frames)]


def write_images(folder: Path, frames: int, seed: int = 0, suffix: str = ".png") -> None:
    """Writes the frames of `clip` as 001.png, 002.png, ..."""
    folder.mkdir(parents=True)
    for i, image in enumerate(clip(frames, seed), start=1):
        cv2.imwrite(str(folder / f"{i:03}{suffix}"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def write_masks(folder: Path, abnormal: Sequence[int], suffix: str = ".png") -> None:
    """Writes a mask a frame; it has a white rectangle where `abnormal` is 1."""
    folder.mkdir(parents=True)
    for i, label in enumerate(abnormal, start=1):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 20:40] = 255 * label
        cv2.imwrite(str(folder / f"{i:03}{suffix}"), mask)


def ped2_circulated(root: Path) -> None:
    for i in (1, 2):
        write_images(root / f"training/frames/0{i}", 8, i, ".jpg")
        write_images(root / f"testing/frames/0{i}", 8, i, ".jpg")
        write_masks(root / f"testing/masks/0{i}", [0] * 4 + [1] * 4)


def ped2_official(root: Path) -> None:
    for i in (1, 2):
        write_images(root / f"Train/Train00{i}", 8, i, ".tif")
        write_images(root / f"Test/Test00{i}", 8, i, ".tif")
        write_masks(root / f"Test/Test00{i}_gt", [0] * 4 + [1] * 4, ".bmp")
    (root / "Test/UCSDped2.m").write_text("TestVideoFile{end+1}.gt_frame = [5:8];\n" * 2)
    (root / "Test/Test001/._001.tif").write_bytes(b"resource fork")


def avenue(root: Path, masks: int = 10) -> None:
    for i in (1, 2, 3):
        write_video(root / f"training_videos/0{i}.avi", clip(8, i), 25.0, fourcc="XVID")
    write_video(root / "testing_videos/01.avi", clip(10), 25.0, fourcc="XVID")
    cells = np.empty((1, masks), dtype=object)
    for i in range(masks):
        cells[0, i] = np.zeros((40, 60), np.uint8)
        cells[0, i][5:15, 5:15] = i >= 7
    (root / "ground_truth_demo/testing_label_mask").mkdir(parents=True)
    savemat(root / "ground_truth_demo/testing_label_mask/1_label.mat", {"volLabel": cells})


def shanghaitech(root: Path, train: str = "videos") -> None:
    """Scene 01 with three training clips, scene 02 with one."""
    for i, name in enumerate(("01_001", "01_002", "01_003", "02_001")):
        if train == "videos":
            write_video(root / f"training/videos/{name}.avi", clip(12, i), 24.0, fourcc="XVID")
        else:
            write_images(root / f"training/frames/{name}", 12, i, ".jpg")
    for name in ("01_0014", "02_0128"):
        write_images(root / f"testing/frames/{name}", 6, suffix=".jpg")
    for kind in ("test_frame_mask", "test_pixel_mask"):
        (root / "testing" / kind).mkdir()
    pixels = np.zeros((6, 40, 60), np.uint8)
    pixels[2:4, :20] = 1
    for name in ("01_0014", "02_0128"):
        np.save(root / f"testing/test_frame_mask/{name}.npy", np.array([0, 0, 1, 1, 0, 0], np.int8))
        np.save(root / f"testing/test_pixel_mask/{name}.npy", pixels)
