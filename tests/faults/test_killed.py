"""Killed or told to end at any instant, a rerun ends with the tables of an undisturbed run, byte for byte."""

from __future__ import annotations

import signal
from pathlib import Path

import jobs
import pytest
from nights import GOOD, Night, bytes_of, covered


@pytest.mark.fault("kill -9 of the job")
@pytest.mark.parametrize("write", [4, *(pytest.param(write, marks=pytest.mark.slow) for write in (2, 7, 10))])
def test_a_rerun_after_kill_9_equals_an_undisturbed_run(
    write: int, night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    job = jobs.start_and_signal(write, signal.SIGKILL, night, archive, tmp_path)
    assert job.wait() == -signal.SIGKILL
    goes_on(write, night, archive, scored, tmp_path)


@pytest.mark.fault("SIGTERM to the job, as its node is drained")
def test_a_job_that_is_told_to_end_does_so_at_once(night: Night, archive: Path, scored: Path, tmp_path: Path) -> None:
    job = jobs.start_and_signal(5, signal.SIGTERM, night, archive, tmp_path)
    # It handles the signal: the first process of a container never gets the default action.
    assert job.wait() == 128 + signal.SIGTERM
    goes_on(5, night, archive, scored, tmp_path)


def goes_on(write: int, night: Night, archive: Path, scored: Path, tables: Path) -> None:
    """Asserts that a run which was ended in its n-th write is made good by the next one."""
    halfway = bytes_of(tables)
    assert len(halfway) == write - 1, "the first was the status"
    assert len([name for name in halfway if "/.writing-" in name]) == 1
    done = len(covered(tables))
    summary = night.score(archive, tables)
    assert summary.complete
    assert (summary.sources_done_before, summary.sources_scored) == (done, len(GOOD) - done)
    assert bytes_of(tables) == bytes_of(scored)
