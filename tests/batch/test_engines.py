"""Engines: wherever sources are scored, the tables are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from nights import GOOD, Night, bytes_of, rows

from stmae.batch import engines, status
from stmae.storage import FileStore


def test_processes_side_by_side_write_the_tables_of_one(
    night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    summary = night.score(archive, tmp_path, workers=2)
    assert summary.complete
    assert summary.sources_scored == len(GOOD)
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.fault("kill -9 of a worker")
def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(
    night: Night, archive: Path, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, put = 2, FileStore.put

    def put_and_kill(store: FileStore, path: str, data: bytes) -> None:
        nonlocal left
        put(store, path, data)
        for child in multiprocessing.active_children()[:left]:
            left -= 1
            os.kill(child.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(status, "EVERY_SECONDS", 0.5)  # the status of this process is what kills them
    monkeypatch.setattr(FileStore, "put", put_and_kill)
    assert night.score(archive, tmp_path, workers=2).complete
    assert left == 0
    assert bytes_of(tmp_path) == bytes_of(scored)


RUN = """
import sys
from stmae.batch.run import score_archive
if __name__ == "__main__":
    score_archive(*sys.argv[1:], workers=2)
"""


@pytest.mark.fault("kill -9 of the job")
def test_the_processes_of_a_job_that_is_killed_end_too(night: Night, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(RUN)
    fitted = [str(night.fitted / f"{name}.json") for name in ("normality", "calibration")]
    command = [sys.executable, str(tmp_path / "run.py"), str(archive), str(tmp_path / "tables"), night.server_url]
    job = subprocess.Popen([*command, night.deployment, *fitted])
    while not (children := children_of(job.pid)):
        assert job.poll() is None
        time.sleep(0.05)
    job.kill()
    job.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """Returns the worker processes of a job."""
    by_thread = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    found = [int(child) for children in by_thread for child in children]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray of two CPUs on loopback."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_ray_writes_the_tables_of_the_local_engine_byte_for_byte(
    night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    summary = night.score(archive, tmp_path, engine="ray")
    assert summary.complete
    assert summary.sources_scored == len(GOOD)
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.usefixtures("cluster")
def test_a_video_that_cannot_be_read_is_a_row_with_a_reason_to_ray_too(night: Night, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "broken.mp4").write_bytes(b"not a video")
    summary = night.score(tmp_path / "archive", tmp_path / "tables", engine="ray")
    assert summary.complete
    (row,) = rows(tmp_path / "tables", "coverage")
    assert row["status"] == "undecodable"
    assert row["reason"]


def test_an_engine_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(engines.EngineError, match=r"pip install 'stmae\[ray\]'"):
        next(engines.engine("ray")(None, [], None))  # type: ignore[arg-type]


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(engines.EngineError, match="one of local, ray"):
        engines.engine("spark")
