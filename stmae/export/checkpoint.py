"""Export of a run's checkpoint: weights in, four checked ONNX graphs and a golden segment out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stmae.config import Config
from stmae.data.manifest import Manifest
from stmae.evaluate import load_model
from stmae.export.onnx import export
from stmae.export.parity import check

GOLDEN_FRAMES = 12


def export_checkpoint(config: Config, manifest: Manifest, model_dir: Path, out: Path) -> dict[str, float]:
    """Write the ONNX export of `model_dir` to `out`; returns the largest differences between torch and onnxruntime.

    The golden segment is the middle of the first held-out clip. Raises ParityError where the two disagree.
    """
    frames = manifest.frames(manifest.split("heldout")[0])
    start = max(len(frames) - GOLDEN_FRAMES, 0) // 2
    golden = np.array(frames[start : start + GOLDEN_FRAMES])
    export(config, load_model(config, model_dir, torch.device("cpu")), out, golden)
    return check(out)
