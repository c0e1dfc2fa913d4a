"""Whatever S3 answers, a run ends with the tables of an undisturbed one, or says what is left and why."""

from __future__ import annotations

import re
from pathlib import Path

import jobs
import pytest
from depots import FIRST, SECOND, Depot
from nights import Night, bytes_of, covered
from proxy import Fault, cut, refuse, reset, stall

FAULTS = {
    "500 from S3": (refuse(500, "InternalError"), r"answered 500 \(InternalError\)"),
    "503 SlowDown from S3": (refuse(503, "SlowDown"), r"answered 503 \(SlowDown\)"),
    "a reset by S3 in mid-body": (reset, r"no whole answer \(.*reset by peer"),
    "an answer of S3 that is cut in mid-body": (cut, r"no whole answer \(\d+ read, but total bytes expected"),
    "a stall of S3 in mid-body": (stall, r"no whole answer \(silent for 1 s\)"),
}
"""Faults, and what is said of an object that they meet for good."""
each_fault = pytest.mark.parametrize(
    ("fault", "reason"), [pytest.param(*how, id=name, marks=pytest.mark.fault(name)) for name, how in FAULTS.items()]
)


@each_fault
def test_a_fault_that_passes_leaves_no_trace(
    night: Night, depot: Depot, undisturbed: dict[str, bytes], tmp_path: Path, fault: Fault, reason: str
) -> None:
    for requests, times in (("GET /.*list-type=2", 1), (f"GET /.*{FIRST}", 2), ("PUT /.*scores", 1)):
        depot.proxy.spoil(requests, fault, times)
    tables = depot.tables(tmp_path.name)
    assert night.score(depot.site, tables).complete
    assert depot.bytes_of(tables) == undisturbed


@each_fault
def test_an_object_that_cannot_be_read_is_missing_and_is_taken_up_by_the_next_run(
    night: Night,
    depot: Depot,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    reason: str,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    depot.proxy.spoil(f"GET /.*{FIRST}", fault)
    summary = night.score(depot.site, tmp_path)
    assert not summary.complete
    assert (summary.sources_scored, summary.sources_failed) == (2, 1)
    (row,) = (row for row in covered(tmp_path) if row["status"] == "missing")
    assert row["source"] == f"{depot.site}/{FIRST}"
    assert re.search(reason, row["reason"])
    assert re.search(reason, summary.message())
    depot.proxy.heal()
    assert night.score(depot.site, tmp_path).complete
    assert bytes_of(tmp_path) == undisturbed


@each_fault
@pytest.mark.slow
def test_a_store_that_fails_for_good_ends_the_run_and_a_rerun_completes_it(
    night: Night,
    depot: Depot,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    reason: str,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    depot.proxy.spoil_from(f"GET /.*{SECOND}", fault)
    assert jobs.run(night, depot.site, tmp_path) == 1
    said = capsys.readouterr().err
    assert f"{depot.site}: {depot.proxy.endpoint}" in said
    assert "2 left for the next run" in said
    assert len(covered(tmp_path)) == 1
    depot.proxy.heal()
    assert jobs.run(night, depot.site, tmp_path) == 0
    assert bytes_of(tmp_path) == undisturbed
