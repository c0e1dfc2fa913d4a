"""The benchmark of a training step: the times of the parts add up to that of the step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stmae import config

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PARTS = {"reading", "encoders", "memory", "decoder", "flow", "discriminator", "backward", "rest"}


def test_the_times_of_the_parts_add_up_to_that_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import training

    monkeypatch.setattr(training, "WARM_UP", 0)
    monkeypatch.setattr(training, "STEPS", 1)
    monkeypatch.setattr(
        training.adversarial, "descend", training.adversarial.descend
    )  # wrapped by the benchmark, put back here
    small = ("model.size=64", "model.width=8", "train.batch=2", "walkway.train_clips=2", "walkway.frames=30")
    figures = training.measure(config.load("walkway", (*training.FILM, *small)))
    parts = {name.removeprefix("ms_"): value for name, value in figures.items() if "step" not in name}
    assert parts.keys() == PARTS
    assert min(parts.values()) > 0
    assert sum(parts.values()) == pytest.approx(figures["ms_step"], abs=0.1)
    assert figures["ms_step_fp32"] > 0


def test_an_unknown_configuration_is_named_with_the_nearest(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "training.py"), "--config", "pet2", "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "ped2" in run.stderr
    assert not list(tmp_path.iterdir())
