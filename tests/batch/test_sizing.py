"""The estimate is arithmetic on results files: each figure is named, and one that was not measured is not made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stmae.batch.sizing import ResultsError, estimate
from stmae.cli import main

ROOT = Path(__file__).resolve().parents[2]
MACHINE = {"cpu": "a CPU", "cores": 4, "gpu": None}


def results(folder: Path, **files: dict[str, float]) -> Path:
    """Writes results files by their names, `-` written `_`."""
    folder.mkdir(exist_ok=True)
    for name, figures in files.items():
        record: dict[str, Any] = {"figures": figures, "machine": MACHINE}
        (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(record))
    return folder


def test_each_figure_follows_from_the_measured_ones(tmp_path: Path) -> None:
    batch = {"batch_frames_per_second": 100.0, "objects_per_camera_day": 96}
    night = {"night_files": 3600, "night_files_before_kill": 600, "night_requests_resumed": 6000}
    sizes = {f"bytes_per_frame_{name}": size for name, size in (("upcam", 4.0), ("ped2", 20.0))}
    sizes |= {f"heatmap_bytes_per_second_{name}": 10.0 for name in ("upcam", "ped2")}
    folder = results(tmp_path, batch_scale=batch | night, tables=sizes, serving_gpu={"fps_segment_bf16": 2000.0})
    found = estimate(folder, cameras=100, hours=24, fps=10)
    frames, seconds = 100 * 24 * 3600 * 10, 100 * 24 * 3600
    assert {line.name: line.value for line in found.lines} == {
        "camera-hours": 2400,
        "frames": frames,
        "requests to Triton": frames / 60,
        "time on one such machine": pytest.approx(240.0),
        "CPU-hours, inference on the CPU": pytest.approx(960.0),
        "machines to be done in 8 h": 30,
        "GPU-hours, inference alone": pytest.approx(12.0),
        "tables, still footage": pytest.approx((4 * frames + 10 * seconds) / 1e6),
        "tables, busy footage": pytest.approx((20 * frames + 10 * seconds) / 1e6),
        "objects of tables": pytest.approx(9600),
        "requests to S3, 10-second files": pytest.approx(2 * seconds / 10),
    }
    assert found.missing == ()
    assert found.finish is not None
    (gpu,) = [line for line in found.lines if line.unit == "GPU-h"]
    assert gpu.rests_on == "serving-gpu.json: fps_segment_bf16 = 2000 (a CPU)"


def test_what_was_not_measured_is_named_and_not_made_up(tmp_path: Path) -> None:
    found = estimate(results(tmp_path, batch_scale={"plan_1m_seconds": 3.0}), cameras=1, hours=1, fps=1)
    assert [line.name for line in found.lines] == ["camera-hours", "frames", "requests to Triton"]
    assert found.finish is None
    assert "GPU-hours, inference alone: serving-gpu.json has no fps_segment_bf16" in "\n".join(found.missing)
    assert len(found.missing) == 8
    assert all(f"Not known: {each}" in found.message() for each in found.missing)


def test_a_file_that_is_no_results_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text("[]")
    with pytest.raises(ResultsError, match=r"tables\.json: not a results file"):
        estimate(tmp_path, cameras=1, hours=1, fps=1)
    with pytest.raises(ResultsError, match="no folder of results"):
        estimate(tmp_path / "absent", cameras=1, hours=1, fps=1)


def test_the_command_needs_neither_archive_nor_server(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["plan", "--estimate", "--results", str(ROOT / "benchmarks/results"), "--cameras", "100", "--fps", "5"]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "100 cameras x 24 h x 5 frames/s" in said
    assert "tables.json: bytes_per_frame_upcam" in said
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cameras"] == 100
    assert main(["plan", "--estimate"]) == 2
    assert "--cameras" in capsys.readouterr().err
    assert main(["plan"]) == 2
    assert "--archive, --tables" in capsys.readouterr().err
