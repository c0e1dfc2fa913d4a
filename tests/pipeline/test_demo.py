"""The demo's second half, on the small run: what its last line says is what the tables hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
from runs import ROOT, Run, small


def demo(run: Run) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "stmae", "demo", "walkway", *small(), "--workspace", str(run.workspace)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return line


def objects(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_last_line_tells_what_the_tables_hold_and_a_rerun_writes_nothing(finished: Run) -> None:
    line = demo(finished)
    rows = {
        table: ds.dataset(f"{line['tables']}/{table}", partitioning="hive").count_rows()
        for table in ("scores", "events", "coverage", "runs")
    }
    assert line["videos_scored"] == rows["coverage"] == 2
    assert line["frames_scored"] == rows["scores"] == 2 * (30 - 4)
    assert line["events"] == rows["events"]
    assert rows["runs"] == 1
    assert line["auc_micro"] == finished.summary["figures"]["paper_auc_micro"]
    for page in ("evaluation_report", "night_report"):
        assert Path(str(line[page])).read_text(encoding="utf-8").startswith("<!doctype html>")
    before = objects(Path(str(line["tables"])))
    again = demo(finished)
    assert objects(Path(str(line["tables"]))) == before
    assert {**again, "seconds": 0} == {**line, "seconds": 0}
