"""The demo's second half, on the small run: what its last line says is what the tables hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
from runs import ROOT, SMALL, Run, small

from stmae import config
from stmae.demo import fill_archive


def demo(run: Run) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "stmae", "demo", "walkway", *small(), "--workspace", str(run.workspace)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


def objects(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_last_line_tells_what_the_tables_hold_and_a_rerun_writes_nothing(finished: Run) -> None:
    line = demo(finished)
    rows = {
        table: ds.dataset(f"{line['tables']}/{table}", partitioning="hive").count_rows()
        for table in ("scores", "events", "coverage", "runs")
    }
    assert line["videos_scored"] == rows["coverage"] - 1 == 2, "and the gap between them"
    assert line["frames_scored"] == rows["scores"] == 2 * (30 - 4)
    assert line["events"] == rows["events"]
    assert rows["runs"] == 1
    assert line["auc_micro"] == finished.summary["figures"]["combined_auc_micro_raw"]
    for page in [line["evaluation_report"], *line["night_reports"]]:
        assert Path(page).read_text(encoding="utf-8").startswith("<!doctype html>")
    before = objects(Path(line["tables"]))
    again = demo(finished)
    assert objects(Path(line["tables"])) == before
    assert {**again, "seconds": 0} == {**line, "seconds": 0}


def test_each_scene_of_a_dataset_is_a_camera_with_a_deployment_of_its_own(tmp_path: Path) -> None:
    scenes = config.load("walkway-scenes", [*SMALL, "walkway.scenes=2", "walkway.first_scene=3"])
    deployments = fill_archive(scenes, tmp_path / "data", tmp_path / "archive")
    assert list(deployments.values()) == [f"walkway-scenes-{camera}" for camera in deployments]
    assert len(deployments) == 2
    for camera in deployments:
        films = sorted(path.name for path in (tmp_path / "archive" / camera / "2026-01-01").iterdir())
        assert films == ["20-00-00.mp4", "20-30-00.mp4"]
