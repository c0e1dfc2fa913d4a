"""The flow benchmark: its methods agree on what a flow is, and it says which data set is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.flow import SIZE, doubled_speed, end_point_errors, methods, photometric_error
from stmae.model.build import build_flow_net
from stmae.model.stmae import moved_tiles
from stmae.training.motion import textures

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("suffix", ["", "_dis", "_farneback"])
def test_each_method_returns_the_displacement_of_the_first_frame_s_points_x_before_y(
    suffix: str,
) -> None:
    made = textures(2, 128, torch.Generator().manual_seed(1), torch.device("cpu"))
    background, thing = (made[:, 0] * 255).byte().numpy()
    first, second, truth = background.copy(), background.copy(), torch.zeros(1, 2, 128, 128)
    first[48:80, 48:80] = second[47:79, 50:82] = thing[:32, :32]
    truth[:, 0, 48:80, 48:80], truth[:, 1, 48:80, 48:80] = 2.0, -1.0
    all_methods = methods(build_flow_net())
    error, moving_error = end_point_errors(all_methods[suffix], [(first, second)], truth)
    assert max(error, moving_error) < 0.6
    still = photometric_error(all_methods["_none"], [(first, second)])
    assert photometric_error(all_methods[suffix], [(first, second)]) < 0.6 * still


@pytest.mark.parametrize(("suffix", "auc"), [("", 1.0), ("_dis", 1.0), ("_none", 0.5)])
def test_doubled_speed_is_told_from_normal_speed(suffix: str, auc: float) -> None:
    background, thing = (textures(2, SIZE, torch.Generator().manual_seed(1), torch.device("cpu"))[:, 0] * 255).byte()
    triples = []
    for start in range(40, 180, 20):
        frames = [background.clone() for _ in range(3)]
        for step, frame in enumerate(frames):
            frame[100:132, start + 2 * step : start + 2 * step + 32] = thing[:32, :32]
        triples.append(tuple(frame.numpy() for frame in frames))
    assert doubled_speed(methods(build_flow_net())[suffix], triples, moved_tiles) == auc


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.flow", "--data", str(tmp_path), "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "ped2" in run.stderr
    assert not list(tmp_path.iterdir())
