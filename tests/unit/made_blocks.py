"""A small prepared dataset, and the settings of a training on it that takes a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stmae.datasets.manifest import Clip, Manifest, Split

SETTINGS = [
    "model.size=32",
    "model.width=4",
    "model.memory_items=4",
    "model.features=gradients",
    "train.batch=4",
    "train.steps=16",
    "train.pretrain_fraction=0.5",
    "train.checkpoint_steps=2",
]


def write_dataset(root: Path, scale: int) -> Manifest:
    """Writes two training clips, a calibration and a test clip of a bright block that drifts, or jumps if abnormal."""
    splits: tuple[Split, ...] = ("train", "train", "calibration", "test")
    clips = [_write_clip(root, f"{number:02d}", split, number, scale) for number, split in enumerate(splits)]
    manifest = Manifest.of(root, "blocks", 32 * scale, 10.0, tuple(clips))
    manifest.save()
    return manifest


def _write_clip(root: Path, name: str, split: Split, seed: int, scale: int) -> Clip:
    random = np.random.default_rng(seed)
    frames = np.full((20, 32, 32, 3), 90, np.uint8)
    labels = np.zeros(20, np.uint8)
    labels[10:15] = split == "test"
    for t in range(20):
        left, top = (random.integers(0, 24, 2) if labels[t] else (t % 24, 8)).__iter__()
        frames[t, top : top + 8, left : left + 8] = 230
    frames = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    for kind, array in (("frames", frames), ("labels", labels)):
        path = root / kind / split / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return Clip(name, split, f"{name}.mp4", 20, 32, 32, f"{seed}", "", split == "test", masked=False)
