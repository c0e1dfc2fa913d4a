"""A small model with random weights, exported, and footage for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scores import fit, walkers

from stmae.config import Config
from stmae.storage.document import to_json

TINY = [
    "name=tiny",
    "model.size=64",
    "model.width=8",
    "model.memory_items=8",
    "model.features=gradients",
    "serve.segment_frames=16",
]


@dataclasses.dataclass(frozen=True)
class TinyExport:
    """A small model with random weights, exported, and what is fitted to go with it."""

    folder: Path
    config: Config
    model: Any
    """The STMAE that was exported."""
    fitted: dict[str, Path]
    """`normality` and `calibration`."""


def export_tiny(config: Config, root: Path) -> TinyExport:
    """Exports a model with random weights below `root`."""
    torch = pytest.importorskip("torch")
    # Imported here, since most test files need no torch.
    from stmae.export.graphs import export
    from stmae.model.build import build_stmae

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_stmae(config).eval()
        # An untrained decoder predicts plain grey, whatever it sees: make its output depend on its input.
        model.decoder.output.weight.data *= 20
        # Location statistics and a feature bank that were never fitted would be the same everywhere.
        model.location_gaussian.mean.normal_()
        model.location_gaussian.std.uniform_(0.5, 2)
        model.feature_bank.descriptor.load_pretrained()
        bank = model.feature_bank.items
        bank.copy_(torch.nn.functional.normalize(torch.randn_like(bank), dim=2))
    export(config, model, root / "export", moving_blobs(7, config.model.frame_size))
    fitted = {name: root / f"{name}.json" for name in ("normality", "calibration")}
    for path, each in zip(fitted.values(), fit([walkers(100, seed=0)]), strict=True):
        path.write_text(to_json(each))
    return TinyExport(root / "export", config, model, fitted)


def moving_blobs(frames: int, size: int, seed: int = 0) -> np.ndarray:
    """Returns a textured scene with a few bright blobs that move, uint8 [frames,size,size,3]."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(60, 120, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1)
    rows, columns = np.mgrid[:size, :size]
    film = np.repeat(ground[None].astype(np.float64), frames, 0)
    for _ in range(3):
        (top, left), (down, right) = generator.uniform(0, size, 2), generator.uniform(-2, 2, 2)
        for index in range(frames):
            y, x = (top + down * index) % size, (left + right * index) % size
            film[index] += 100 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / size)[..., None]
    return np.clip(film + generator.normal(0, 3, film.shape), 0, 255).astype(np.uint8)
