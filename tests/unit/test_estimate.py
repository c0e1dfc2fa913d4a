"""The estimate of a training's duration: it says what shortens it, and leaves no trace in what is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_footage import clip
from safetensors.torch import load_file

from stmae import config
from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache, extract_flow
from stmae.datasets.manifest import Manifest
from stmae.datasets.prepare import prepare
from stmae.training.adversarial import train_adversarial
from stmae.training.estimate import Estimate, estimate
from stmae.training.loop import duration
from stmae.training.pretrain import pretrain_appearance, pretrain_motion
from stmae.video.writer import write_video

SETTINGS = [
    *("model.size=32", "model.width=4", "model.memory_items=4"),
    *("train.batch=4", "train.steps=4", "data.fps=8", "data.train_frames=60", "data.calibration_frames=40"),
]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("footage")
    write_video(root / "in/training/day.mp4", clip(300), 8.0)
    return prepare(config.load("folder", SETTINGS), root / "in", root / "dataset")


def trained(settings: Config, manifest: Manifest, out: Path, *, estimated: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    if estimated:
        estimate(settings, manifest, out / "flow")
    extract_flow(settings, manifest, out / "flow")
    pretrain_appearance(settings, manifest, out / "appearance")
    pretrain_motion(settings, manifest, out / "flow", out / "motion")
    train_adversarial(settings, manifest, out / "flow", out / "appearance", out / "motion", out / "model")
    weights = load_file(out / "model" / "model.safetensors")
    return {**weights, "next random number": torch.rand(1)}


def test_an_estimate_changes_no_bit_of_the_training(manifest: Manifest, tmp_path: Path) -> None:
    settings = config.load("folder", SETTINGS)
    one = trained(settings, manifest, tmp_path / "one", estimated=False)
    other = trained(settings, manifest, tmp_path / "other", estimated=True)
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_an_estimate_grows_with_the_steps_and_takes_off_flow_that_is_there(manifest: Manifest, tmp_path: Path) -> None:
    few = estimate(config.load("folder", SETTINGS), manifest, tmp_path)
    many = estimate(config.load("folder", [*SETTINGS, "train.steps=4000"]), manifest, tmp_path)
    assert many.adversarial > 20 * few.adversarial > 0
    assert many.pretraining > 20 * few.pretraining > 0
    assert few.flow > 0
    assert not list(tmp_path.iterdir())
    extract_flow(config.load("folder", SETTINGS), manifest, tmp_path)
    assert estimate(config.load("folder", SETTINGS), manifest, tmp_path).flow == 0
    assert FlowCache.of(tmp_path, manifest).path(manifest.clips[0]).exists()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            Estimate(flow=180, pretraining=120, adversarial=540, steps=2000),
            "training takes about 14 min on this machine (flow 3 min, pretraining 2 min, adversarial training 9 min); "
            "fewer train.steps than 2000 shorten it",
        ),
        (
            Estimate(flow=7200, pretraining=5, adversarial=20, steps=10),
            "training takes about 2.0 h on this machine (flow 2.0 h, pretraining 5 s, adversarial training 20 s); "
            "less footage shortens it (data.train_frames, data.calibration_frames, data.test_glob)",
        ),
    ],
)
def test_an_estimate_says_what_shortens_the_training(parts: Estimate, said: str) -> None:
    assert str(parts) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (89, "89 s"), (100, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_a_duration_is_told_in_the_unit_that_people_would_use(seconds: float, said: str) -> None:
    assert duration(seconds) == said
