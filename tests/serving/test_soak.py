"""The soak benchmark: it asks a server of its own, and tells how many requests failed and how its memory went."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARK = [sys.executable, "-m", "benchmarks.serving.soak"]


def test_it_records_failures_and_the_curve_of_memory(triton_runtime: Path, tmp_path: Path) -> None:
    places = [f"--runtime={triton_runtime}", f"--out={tmp_path}"]
    subprocess.run([*BENCHMARK, "--requests=40", *places], check=True, cwd=ROOT)
    figures = json.loads((tmp_path / "soak.json").read_text())["figures"]
    assert (figures["sent_requests"], figures["wire_requests"], figures["failed_requests"]) == (40, 10, 0)
    assert len(figures["memory_mib"]) == 41
    assert all(each > 50 for each in figures["memory_mib"]), "five processes and a model"
    assert figures["ratio_end_after_4"] > 0


def test_bad_usage_is_told(tmp_path: Path) -> None:
    command = [*BENCHMARK, "--requests=50", f"--out={tmp_path}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 2
    assert "--requests 50: give a multiple of 40" in run.stderr
