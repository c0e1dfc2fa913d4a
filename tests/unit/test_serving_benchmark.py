"""The benchmark of serving: all ways come to their end on the same frames, and a busy machine is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY

from benchmarks.serving.deployment import bytes_per_frame
from benchmarks.serving.figures import WAYS, table
from benchmarks.serving.rounds import alternate, rate, spread, unsteady
from stmae import config
from stmae.serving import tensors

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "benchmarks" / "results" / "serving-cpu.json"
LENGTHS = (5, 16, 64)
"""Frames of the segments that are timed where T is 16: a quarter of T (but five, the fewest, at least), T, four T."""


def benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.serving", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def turns(rates: list[float]) -> Callable[[], float]:
    """A way whose next measurement gives the next of these rates."""
    return iter(rates).__next__


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a busy machine
def test_every_way_is_measured_in_one_run(triton_runtime: Path, tmp_path: Path) -> None:
    overrides = [part for value in TINY for part in ("--set", value)]
    done = benchmark("--config", "walkway", *overrides, "--runtime", triton_runtime, "--rounds", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "serving-cpu.json").read_text())
    figures = result["figures"]
    assert table(figures) in done.stdout
    assert str(tmp_path) not in result["command"]
    assert (figures["config"], figures["size"], figures["segment_frames"]) == ("tiny", 64, 16)
    assert (figures["weights"], figures["seed"], figures["footage"]) == ("random", 1, "walkway")
    assert figures["runtime"].split()[0] in ("onnxruntime", "openvino")
    lengths = [f"{way}_t{length}" for way in ("inprocess", "shm") for length in LENGTHS]
    for name in (*WAYS, "flow", "encode", "decode", "psnr", *lengths):
        assert figures[f"frames_per_s_{name}"] > 0
    for name in (*WAYS, *lengths, "decode_1080p", "ceiling"):
        assert figures[f"spread_{name}"] >= 0
    for way in WAYS:
        share = figures.get(f"gflop_per_frame_{way}", figures["gflop_per_frame"])
        assert figures[f"gflops_{way}"] == pytest.approx(share * figures[f"frames_per_s_{way}"], rel=0.01)
        if way != "naive":
            times = figures[f"frames_per_s_{way}"] / figures["frames_per_s_naive"]
            assert figures[f"ratio_{way}_naive"] == pytest.approx(times, rel=0.01)
    for way, other in (("grpc", "inprocess"), ("shm", "inprocess"), ("batch", "shm")):
        times = figures[f"frames_per_s_{way}"] / figures[f"frames_per_s_{other}"]
        assert figures[f"ratio_{way}_{other}"] == pytest.approx(times, rel=0.01)
    share = figures["gflops_inprocess"] / figures["ceiling_gflops"]
    assert figures["ceiling_share"] == pytest.approx(share, rel=0.01)
    assert figures["gflop_per_frame"] < figures["gflop_per_frame_naive"]
    for way in ("inprocess", "shm"):
        rates = [figures[f"frames_per_s_{way}_t{length}"] for length in LENGTHS]
        assert figures[f"flatness_{way}"] == pytest.approx(max(rates) / min(rates), rel=0.01)
    for length in (5, 16):
        assert 0 < figures[f"latency_p50_ms_t{length}"] <= figures[f"latency_p99_ms_t{length}"]
    assert figures["decode_1080p_frames_per_s"] > 0
    assert figures["machine_busy"] is True, "one round shows nothing of how steady the machine is"


def test_rounds_end_once_the_last_three_of_each_way_agree() -> None:
    measured = alternate({"one": turns([1.0, 5.0, 5.1, 5.2, 9.0]), "two": turns([7.0] * 5)}, most=8)
    assert measured == {"one": [1.0, 5.0, 5.1, 5.2], "two": [7.0] * 4}
    assert rate(measured["one"]) == 5.1
    assert spread(measured["one"]) == pytest.approx(0.2 / 5.1)
    assert unsteady(measured) == []


def test_a_machine_that_is_never_steady_is_told_after_the_last_round() -> None:
    measured = alternate({"one": turns([1.0, 2.0, 3.0, 4.0]), "two": turns([7.0] * 4)}, most=4)
    assert unsteady(measured) == ["one"]
    assert rate(measured["one"]) == 3.0


def test_the_bytes_between_the_steps_are_those_of_flow_features_and_prediction() -> None:
    frames, scored, channels = 16, 12, 2 * (4 * 8 + 8)
    values = {
        tensors.FLOW: 2 * 32 * 32 * (frames - 1),
        tensors.FEATURES: channels * 8 * 8 * scored,
        tensors.PREDICTION: 3 * 64 * 64 * scored,
    }
    whole = sum(np.dtype(tensor.dtype).itemsize * count for tensor, count in values.items())
    assert bytes_per_frame(config.load("walkway", TINY)) == whole / scored


def test_a_mistake_in_the_command_is_named(tmp_path: Path) -> None:
    unknown = benchmark("--config", "pet2", "--out", tmp_path)
    assert (unknown.returncode, "ped2" in unknown.stderr) == (2, True)
    absent = benchmark("--data-root", tmp_path / "nowhere", "--out", tmp_path)
    assert (absent.returncode, "nowhere" in absent.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_the_page_shows_what_is_recorded() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    if RECORDED.exists():
        assert table(json.loads(RECORDED.read_text())["figures"]) in page, "put the table of the run there"
    else:
        assert "not recorded yet" in page
