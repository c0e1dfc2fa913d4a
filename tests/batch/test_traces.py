"""Spans of a run, as a real receiver gets them: one tree, whatever the engine; and nothing where nobody asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import otlp
import pytest
from nights import GOOD, UNITS, Night

from stmae.batch.traces import ENDPOINT, SPANS
from stmae.serving import tensors
from stmae.serving.triton.launcher import EmbeddedTriton


def score(night: Night, archive: Path, tables: Path, endpoint: str | None, *options: str, status: int = 0) -> str:
    """Runs the command and returns what it says on stderr."""
    fitted = [f"--{name}={night.fitted / name}.json" for name in ("normality", "calibration")]
    places = [f"--archive={archive}", f"--tables={tables}", f"--server={night.server_url}"]
    command = [sys.executable, "-m", "stmae", "score", *places, f"--deployment={night.deployment}", *fitted, *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {ENDPOINT: endpoint} if endpoint else {}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_is_one_tree_of_spans(night: Night, archive: Path, tmp_path: Path, workers: int) -> None:
    with otlp.Receiver() as receiver:
        score(night, archive, tmp_path, receiver.endpoint, f"--workers={workers}")
    assert receiver.services == {"stmae-batch"}
    assert {span.name for span in receiver.spans} == set(SPANS)
    (run,) = receiver.named("stmae.run")
    assert {span.trace_id for span in receiver.spans} == {run.trace_id}
    assert otlp.attributes(run)["stmae.hours"] == UNITS
    units = receiver.named("stmae.unit")
    assert len(units) == UNITS
    assert {unit.parent_span_id for unit in units} == {run.span_id}
    scored = sum(frames - 4 for frames in GOOD.values())
    assert sum(otlp.attributes(unit)["stmae.frames"] for unit in units) == scored
    assert {otlp.attributes(unit)["stmae.camera"] for unit in units} >= {"gate", "yard 2"}
    assert "2026-03-01 08" in {otlp.attributes(unit)["stmae.hour"] for unit in units}
    for name in ("stmae.score", "stmae.write"):
        parts = receiver.named(name)
        assert {part.parent_span_id for part in parts} == {unit.span_id for unit in units}
    downloads = receiver.named("stmae.download")
    assert len(downloads) >= len(GOOD)
    assert {each.parent_span_id for each in downloads} <= {each.span_id for each in receiver.named("stmae.score")}


def test_errors_are_recorded_in_their_spans(night: Night, archive: Path, tmp_path: Path) -> None:
    with otlp.Receiver() as receiver:
        score(night, archive, tmp_path, receiver.endpoint, "--deadline=0.00001", "--workers=1", status=1)
    failed = [span for span in receiver.named("stmae.score") if span.status.code == 2]
    assert failed
    (event, *_) = failed[0].events
    assert event.name == "exception"
    assert "no answer within" in str(event.attributes)
    for name in ("stmae.unit", "stmae.run"):
        assert {span.status.code for span in receiver.named(name)} == {2}
        assert "no answer within" in receiver.named(name)[0].status.message


def test_without_a_receiver_nothing_is_imported(night: Night, archive: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom stmae.cli import main\nstatus = main(sys.argv[1:])\n"
        "sys.exit(status or any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    fitted = [f"--{name}={night.fitted / name}.json" for name in ("normality", "calibration")]
    places = [f"--archive={archive}", f"--tables={tmp_path}", f"--server={night.server_url}", "--workers=1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", code, "score", *places, f"--deployment={night.deployment}", *fitted]
    assert subprocess.run(command, env=environment, check=False).returncode == 0


def test_a_receiver_that_is_away_does_not_stop_a_run(night: Night, archive: Path, tmp_path: Path) -> None:
    score(night, archive, tmp_path, "http://127.0.0.1:9", "--workers=1")


def test_missing_packages_are_named(night: Night, archive: Path, tmp_path: Path) -> None:
    block = (
        "import sys\nsys.modules['opentelemetry.sdk'] = None\nfrom stmae.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", block, "score", "--archive=a", f"--tables={tmp_path}", "--server=127.0.0.1:9"]
    environment = os.environ | {ENDPOINT: "http://127.0.0.1:9"}
    done = subprocess.run([*command, "--deployment=a"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'stmae[trace]'" in done.stderr


def test_triton_goes_on_with_the_trace_of_a_request(
    night: Night, archive: Path, tmp_path: Path, triton_server: Any, triton_runtime: Path
) -> None:
    with otlp.Receiver() as receiver:
        options = [
            "--trace-config=mode=opentelemetry",
            f"--trace-config=opentelemetry,url={receiver.endpoint}/v1/traces",
            "--trace-config=rate=0",
            "--trace-config=level=TIMESTAMPS",
        ]
        repository = Path(shutil.copytree(triton_server.repository, tmp_path / "repository"))
        with EmbeddedTriton(repository, runtime=triton_runtime, options=options) as server:
            there = Night(server.grpc_url, night.deployment, night.fitted)
            score(there, archive, tmp_path / "tables", receiver.endpoint, "--workers=1", "--include=flat.mp4")
    (run,) = receiver.named("stmae.run")
    steps = {spec.served_name(night.deployment) for spec in tensors.STEPS}
    assert all(run.trace_id in receiver.trace_ids[name] for name in {"InferRequest", night.deployment, *steps})
