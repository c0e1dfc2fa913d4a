"""Killed at any instant, a rerun ends with the tables of an undisturbed run, byte for byte."""

from __future__ import annotations

import signal
from pathlib import Path

import jobs
import pytest
from nights import GOOD, Night, bytes_of, covered


@pytest.mark.fault("kill -9 of the job")
@pytest.mark.parametrize("write", [2, 4, 7, 10])
def test_a_rerun_after_kill_9_equals_an_undisturbed_run(
    write: int, night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    job = jobs.start_and_signal(write, signal.SIGKILL, night, archive, tmp_path)
    assert job.wait() == -signal.SIGKILL
    halfway = bytes_of(tmp_path)
    assert len(halfway) == write - 1, "the first was the status"
    assert len([name for name in halfway if "/.writing-" in name]) == 1
    done = len(covered(tmp_path))
    summary = night.score(archive, tmp_path)
    assert summary.complete
    assert (summary.sources_done_before, summary.sources_scored) == (done, len(GOOD) - done)
    assert bytes_of(tmp_path) == bytes_of(scored)
