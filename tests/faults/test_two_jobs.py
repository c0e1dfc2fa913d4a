"""Two jobs for the same night at once: both end well, and the tables are those of one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import jobs
import pytest
from depots import Depot
from nights import Night, bytes_of
from proxy import at_once

pytestmark = pytest.mark.fault("two jobs for the same night at once")


def test_two_jobs_side_by_side(night: Night, archive: Path, scored: Path, tmp_path: Path) -> None:
    both = [jobs.start(night, archive, tmp_path) for _ in range(2)]
    assert [job.wait() for job in both] == [0, 0]
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.parametrize("write", [2, 5])
def test_a_job_that_another_overtakes_in_the_middle_of_a_write(
    write: int, night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    job = jobs.start_and_signal(write, signal.SIGSTOP, night, archive, tmp_path)
    try:
        _, state = os.waitpid(job.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(state)
        assert jobs.run(night, archive, tmp_path) == 0
        job.send_signal(signal.SIGCONT)
        assert job.wait() == 0
    finally:
        job.kill()
        job.wait()
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.slow
def test_a_job_that_another_overtakes_while_it_puts_an_object(
    night: Night, depot: Depot, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stmae.storage.s3.SILENCE_SECONDS", 60.0)
    tables, ended = depot.tables("of two jobs"), list[int]()
    other = at_once(lambda: ended.append(jobs.start(night, depot.site, tables).wait()))
    depot.proxy.spoil("PUT /.*scores", other, times=1)
    assert jobs.run(night, depot.site, tables) == 0
    assert ended == [0]
    assert depot.bytes_of(tables) == undisturbed
