"""Fixtures of the unit tests: footage, made up and real."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made_footage import clip, write_images

from stmae.video.writer import write_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real footage and labels; its tests skip where it is absent."""
    folder = Path(os.environ.get("STMAE_SHARED_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder} (set STMAE_SHARED_DATA)")
    return folder


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """Three normal videos, a labelled test video and an unlabelled test folder of images."""
    root = tmp_path / "cameras"
    for i in range(3):
        write_video(root / f"training/{i}.mp4", clip(12, i), 8.0)
    write_video(root / "testing/a.mp4", clip(10, 5), 8.0)
    write_images(root / "testing/b", 7)
    (root / "training/README.txt").write_text("notes")
    (root / "labels").mkdir()
    np.save(root / "labels/a.npy", np.array([0] * 6 + [1] * 4))
    (root / "masks").mkdir()
    masks = np.zeros((10, 40, 60), np.uint8)
    masks[6:, 10:20, 30:40] = 1
    np.savez_compressed(root / "masks/a.npz", masks=masks)
    return root


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    """Two cameras: four training clips of the north gate, two of the south gate, a test clip of each."""
    for name in ("north_1", "north_2", "north_3", "north_4", "south_1", "south_2"):
        write_video(tmp_path / f"gates/training/{name}.mp4", clip(8), 8.0)
    for name in ("north_9", "south_9"):
        write_video(tmp_path / f"gates/testing/{name}.mp4", clip(8), 8.0)
    return tmp_path / "gates"
