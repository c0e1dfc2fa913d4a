"""The benchmark on synthetic anomalies in normal clips: it measures the model of a run as a user has it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evidence import FPS, calm
from runs import ROOT, Run

from stmae import config
from stmae.datasets.manifest import Clip

SCRIPT = ROOT / "benchmarks" / "faster.py"


def test_the_model_of_a_run_is_measured_on_its_normal_clips(finished: Run, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--run", finished.summary["run"], "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads((tmp_path / "faster-walkway.json").read_text())["figures"]
    assert figures["clips"] == 3
    for name in ("combined_x1.5", "baseline_x1.5", "combined_x2", "baseline_x2"):
        assert 0 <= figures[f"{name}_lowest"] <= figures[name] <= 1


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--run", str(tmp_path), "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no trained model" in run.stderr


def test_faster_regions_are_found_by_calibrations_that_were_not_fitted_on_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import busiest
    from faster import BEFORE, FACTORS, TOGETHER, Played, aucs, draws, judged, speeds

    clips = []
    for seed in range(6):
        normal = calm(60, seed)
        labels = np.repeat([0, 1], [40, 20])
        # Only a little faster, so that not everything is found.
        by = {factor: np.where(labels, factor**0.3, 1.0)[:, None, None, None] for factor in FACTORS}
        faster = {
            f"x{factor:g}": (dataclasses.replace(normal, flow_tiles=normal.flow_tiles * by[factor]), labels)
            for factor in FACTORS
        }
        clips.append(Played(Clip(str(seed), "train", "", 64, FPS, 48, 64, "0", "", False, False), normal, faster))
    row, _ = busiest(speeds(clips[0].normal))
    assert row <= 12 < row + 7, "they walk in row 12"
    for calibration, drawn in draws(clips, config.load("walkway")):
        assert len(drawn) == 2
        assert calibration.frames == 60
    together = [labels for _, _, labels in judged(clips, TOGETHER)]
    assert len(together) == 6 * len(FACTORS)
    assert all([(labels == each).sum() for each in (-1, 0, 1)] == [40 - BEFORE, BEFORE, 20] for labels in together)
    assert sum(labels.any() for _, _, labels in judged(clips, "x2")) == len(list(judged(clips, "x2"))) / 2 == 6
    figures = aucs(clips, config.load("walkway"))
    assert figures["combined_x2"] > 0.99
    assert figures["combined_x2"] > figures["combined_x1.5"] > figures["combined_x1.5_lowest"]
    assert figures["combined_together"] > 0.99
