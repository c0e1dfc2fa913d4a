"""The sets that the score is measured on, and the raw scores of models that are trained on them.

Everything is kept below a folder: prepared footage and flow a set, checkpoints and raw scores a seed. What is there
is not computed again, so that a change of the score is measured without a second training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stmae import config as configs
from stmae.config import Config
from stmae.datasets.flow_cache import extract_flow
from stmae.datasets.manifest import Clip
from stmae.datasets.prepare import prepare
from stmae.evaluation.evaluate import Measure
from stmae.model.build import load_model
from stmae.model.device import training_device
from stmae.scoring.raw import RawScores, Singles
from stmae.training.adversarial import train_adversarial
from stmae.training.pretrain import pretrain_appearance, pretrain_motion

Arrays = dict[str, Any]

ALL_KINDS = "cyclist,cart,runner,fallen,object,loiterer"


@dataclasses.dataclass(frozen=True, slots=True)
class Set:
    """A configuration, the footage it is trained on, and the seeds it is trained with."""

    name: str
    config: str
    footage: str = ""
    """Folder below the folder of real footage; empty where the footage is synthetic."""
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3)
    films: str = ""
    """Name of the set whose prepared footage this one uses; by default its own."""

    def load(self, seed: int) -> Config:
        """Returns the resolved configuration."""
        return configs.load(self.config, [*self.overrides, f"seed={seed}"])


COFFEE_ROOM = Set(
    "coffee-room",
    "folder",
    "coffee-room",
    (
        "name=coffee-room",
        "data.train_glob=normal/*.mp4",
        "data.test_glob=test/*.mp4",
        "data.fps=25",
        "data.train_frames=0",
        "data.calibration_frames=0",
        "train.steps=1500",
    ),
)
SLOW = Set("walkway-slow", "walkway-slow")
PED2 = Set("ped2-cpu", "ped2-cpu", "ped2")
SETS = (
    COFFEE_ROOM,
    SLOW,
    Set("walkway", "walkway", overrides=("walkway.seed=41",)),
    Set("scenes-pools", "walkway-scenes"),
    Set("scenes-single", "walkway-scenes", overrides=("model.scenes=1",), films="scenes-pools"),
    PED2,
)
"""What detectors.json compares."""
FRESH = tuple(
    Set(
        f"walkway-{film}",
        "walkway",
        overrides=(
            f"walkway.seed={film}",
            f"walkway.anomalies={ALL_KINDS}",
            "walkway.test_clips=12",
            "walkway.frames=300",
        ),
        seeds=(1,),
    )
    for film in (51, 52)
)
"""Synthetic footage of fresh seeds, with every kind of anomaly, for the ablation."""


@dataclasses.dataclass(frozen=True)
class CachedMeasure(Measure):
    """Keeps what is measured of clips as files."""

    folder: Path

    def __call__(self, clip: Clip, first: int | None = None) -> RawScores:
        """Returns the raw scores of a clip, or of its `first` frames."""
        return RawScores(**self._kept(clip, f"{first or 'all'}", lambda: _arrays(self.measured(clip, first))))

    def measured(self, clip: Clip, first: int | None) -> RawScores:
        """Returns what the model measures of a clip, or of its `first` frames."""
        return super().__call__(clip, first)

    def flow_tiles(self, clip: Clip) -> Singles:
        """Returns the flow tiles [F,2,16,16] of a whole clip."""
        measured = super().flow_tiles
        return self._kept(clip, "flow", lambda: {"flow_tiles": measured(clip)})["flow_tiles"]

    def _kept(self, clip: Clip, what: str, make: Callable[[], Arrays]) -> Arrays:
        path = self.folder / f"{clip.split}-{clip.name.replace('/', '_')}-{what}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **make())
        with np.load(path) as arrays:
            return dict(arrays)


def _arrays(raw: RawScores) -> Arrays:
    return {field.name: getattr(raw, field.name) for field in dataclasses.fields(raw)}


def trained(one: Set, seed: int, data_root: Path, work: Path) -> CachedMeasure:
    """Returns what measures clips with the model of a set and a seed, which is trained first where it is missing."""
    config = one.load(seed)
    shared, own = work / (one.films or one.name), work / one.name / f"seed-{seed}"
    root = data_root / one.footage if one.footage else shared / "films"
    manifest = prepare(config, root, shared / "dataset")
    flow = extract_flow(config, manifest, shared / "flow")
    if not (own / "model" / "model.safetensors").exists():
        pretrained = own / "appearance", own / "motion"
        pretrain_appearance(config, manifest, pretrained[0])
        pretrain_motion(config, manifest, shared / "flow", pretrained[1])
        train_adversarial(config, manifest, shared / "flow", *pretrained, own / "model")
    return CachedMeasure(config, load_model(config, own / "model", training_device()), manifest, flow, own / "raw")
