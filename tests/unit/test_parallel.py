"""Training by several processes: they follow one process that trains on whole batches."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_blocks import SETTINGS, write_dataset
from safetensors.torch import load_file


def train(processes: int, dataset: Path, out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Runs `stmae train`, of several processes under torchrun."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    settings = [part for value in (*SETTINGS, "train.bf16=false", *overrides) for part in ("--set", value)]
    folders = ["--dataset", str(dataset), "--flow", str(out / "flow"), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("STMAE_CHECKPOINTS", None)
    command = [sys.executable, *launcher, "-m", "stmae", "train", "walkway", *settings, *folders, "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def by_one_and_by_two(root: Path, *overrides: str) -> tuple[Path, Path]:
    """Returns the folders of the same training by one process and by two."""
    write_dataset(root / "dataset", 1)
    for processes in (1, 2):
        done = train(processes, root / "dataset", root / str(processes), "train.motion_windows=2", *overrides)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["model"] == str(root / str(processes) / "model")
    return root / "1", root / "2"


@pytest.mark.slow
def test_two_processes_follow_the_losses_of_one(tmp_path: Path) -> None:
    """With small steps: where a gradient is nearly 0, rounding decides on the sign of Adam's first step."""
    alone, shared = by_one_and_by_two(tmp_path, "train.steps=12", "train.optimizer=adam", "train.learning_rate=1e-5")
    for name in ("appearance", "motion", "model"):
        one, two = (json.loads((folder / name / "curve.json").read_text()) for folder in (alone, shared))
        assert [row["step"] for row in one] == [row["step"] for row in two]
        for expected, found in zip(one, two, strict=True):
            assert found["losses"] == pytest.approx(expected["losses"], rel=0.001)


@pytest.mark.slow
def test_a_step_of_two_processes_has_gradients_statistics_and_memories_of_one(tmp_path: Path) -> None:
    alone, shared = by_one_and_by_two(tmp_path, "train.steps=1", "train.optimizer=muon")
    for name in ("appearance", "motion", "model"):
        one, two = (load_file(folder / name / "checkpoint.safetensors") for folder in (alone, shared))
        assert one.keys() == two.keys()
        compared = [key for key in one if re.search(r"exp_avg$|momentum$|running_|_memory\.pools$", key)]
        assert compared
        for key in compared:
            assert (one[key] - two[key]).norm() <= 0.001 * one[key].norm() + 1e-6, f"{name} {key}"


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_equally_names_the_setting(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 1)
    done = train(2, tmp_path / "dataset", tmp_path, "train.batch=3")
    assert done.returncode == 1
    assert "train.batch: 3 windows cannot be shared equally by 2 processes" in done.stderr
