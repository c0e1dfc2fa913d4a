"""Export of a trained model: its weights in, four checked ONNX graphs and a golden segment out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from stmae.config import Config
from stmae.datasets.manifest import Clip, Manifest, scene_index
from stmae.export.graphs import export
from stmae.model.build import load_model
from stmae.serving.parity import check

GOLDEN_FRAMES = 12
"""Frames of the golden segment, at most."""


def export_checkpoint(config: Config, manifest: Manifest, model_dir: Path, out: Path) -> dict[str, float]:
    """Writes the ONNX export of `model_dir` to `out`; returns the largest differences between torch and onnxruntime.

    If the dataset has several scenes, each becomes a deployment `<name>-<scene>` in a folder of its name, with the same
    weights and a memory of its own. The golden segment is the middle of the first clip of the scene's calibration
    split. Raises ParityError if torch and onnxruntime disagree.
    """
    model = load_model(config, model_dir, torch.device("cpu"))
    worst: dict[str, float] = {}
    for scene in manifest.scenes:
        clip = next(clip for clip in manifest.split("calibration") if clip.scene == scene)
        folder = out / scene
        named = dataclasses.replace(config, name=f"{config.name}-{scene}") if scene else config
        export(named, model, folder, _golden(manifest, clip), scene_index(config, manifest, clip))
        for name, difference in check(folder).items():
            worst[name] = max(difference, worst.get(name, 0.0))
    return worst


def _golden(manifest: Manifest, clip: Clip) -> np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]:
    frames = manifest.frames(clip)
    start = max(len(frames) - GOLDEN_FRAMES, 0) // 2
    return np.array(frames[start : start + GOLDEN_FRAMES])
