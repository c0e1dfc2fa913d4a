"""Metrics of a run: scraped from a real one while it works, and equal to what its tables and its summary say."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import ray
from nights import UNITS, Night, covered, rows
from prometheus_client.parser import text_string_to_metric_families
from swift import free_ports

from stmae.batch import metrics as exposed
from stmae.batch.metrics import METRICS, Metrics, serving
from stmae.cli import main
from stmae.storage import FileStore

HOST = "127.0.0.1"
STARTS = [datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC), datetime(2026, 3, 2, 23, 59, 58, tzinfo=UTC)]
"""When the first recording of each camera-hour of the archive with a time begins."""


def text(port: int) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def scrape(port: int) -> dict[str, dict[str, float]]:
    """Returns the samples of each metric by the value of its label, which is empty without one."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text(port)):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                found.setdefault(sample.name, {})["".join(sample.labels.values())] = sample.value
    return found


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def site(archive: Path, tmp_path: Path) -> Path:
    """The archive with a video that is none."""
    site = Path(shutil.copytree(archive, tmp_path / "site"))
    (site / "broken.mp4").write_bytes(b"not a video")
    return site


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray of two CPUs on loopback."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address=HOST)
    yield
    ray.shutdown()


@pytest.mark.parametrize(
    ("engine", "workers"), [("local", 1), ("local", 2), pytest.param("ray", None, marks=pytest.mark.slow)]
)
def test_counts_are_those_of_the_tables_and_of_the_summary_in_every_engine(
    night: Night,
    site: Path,
    tmp_path: Path,
    port: int,
    engine: str,
    workers: int | None,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "ray":
        request.getfixturevalue("cluster")
    metrics, tables = Metrics(), tmp_path / "tables"
    with serving(metrics, port, HOST):
        summary = night.score(site, tables, engine=engine, workers=workers, metrics=metrics)
        found = scrape(port)
    coverage = covered(tables)
    assert found["stmae_batch_units_total"] == {"done": UNITS + 1, "failed": 0}
    statuses = {status: count for status, count in found["stmae_batch_sources_total"].items() if count}
    assert statuses == Counter(row["status"] for row in coverage) == dict(summary.coverage)
    assert found["stmae_batch_frames_scored_total"] == {night.deployment: summary.frames_scored}
    assert summary.frames_scored == len(rows(tables, "scores"))
    seconds = sum(row["seconds_scored"] for row in coverage)
    assert found["stmae_batch_seconds_scored_total"][""] == pytest.approx(seconds)
    assert found["stmae_batch_events_total"] == {"": summary.events} == {"": len(rows(tables, "events"))}
    assert sum(found["stmae_batch_failures_total"].values()) == len(summary.failures) == 0
    assert found["stmae_batch_bytes_read_total"][""] >= sum(row["bytes"] for row in coverage) > 0
    assert found["stmae_batch_work_left_bytes"] == found["stmae_batch_archive_lag_seconds"] == {"": 0}
    assert found["stmae_batch_last_success_timestamp_seconds"][""] == pytest.approx(time.time(), abs=60)


def test_every_metric_has_its_type_and_its_help(night: Night, archive: Path, tmp_path: Path, port: int) -> None:
    metrics = Metrics()
    with serving(metrics, port, HOST):
        before = text(port)
        night.score(archive, tmp_path, metrics=metrics)
        after = text(port)
    for said in (before, after):
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", said, re.M))
        helps = dict(re.findall(r"^# HELP (\S+) (.+)$", said, re.M))
        assert kinds == {name: metric.kind for name, metric in METRICS.items()}
        assert helps == {name: metric.help for name, metric in METRICS.items()}
    for name, metric in METRICS.items():
        labels = set(re.findall(rf'^{name}{{(\w+)="', after, re.M))
        assert labels == ({metric.label} if metric.label else set())


def test_what_is_left_is_told_while_the_run_works(
    night: Night, archive: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, put = [], FileStore.put

    def put_and_look(store: FileStore, path: str, data: bytes) -> None:
        put(store, path, data)
        if path.startswith("coverage/"):
            seen.append(scrape(port))

    monkeypatch.setattr(FileStore, "put", put_and_look)
    metrics = Metrics()
    with serving(metrics, port, HOST):
        night.score(archive, tmp_path, metrics=metrics)
        last = scrape(port)
    left = [each["stmae_batch_work_left_bytes"][""] for each in (*seen, last)]
    assert left == sorted(left, reverse=True)
    assert left[0] == sum(path.stat().st_size for path in archive.rglob("*.*"))
    assert left[-1] == 0
    assert [each["stmae_batch_units_total"]["done"] for each in seen] == list(range(UNITS))
    lags = [each["stmae_batch_archive_lag_seconds"][""] for each in (*seen, last)]
    assert lags[0] == pytest.approx(time.time() - STARTS[0].timestamp(), abs=60), "the oldest that waits"
    assert {round(lag / 3600) for lag in lags} == {
        round((time.time() - each.timestamp()) / 3600) for each in STARTS
    } | {0}
    assert "stmae_batch_last_success_timestamp_seconds" not in seen[0]


def test_failures_have_a_reason_and_success_is_that_of_the_last_run_that_left_nothing(
    night: Night, archive: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = FileStore.download

    def fails_for_one(store: FileStore, path: str, target: Path) -> str:
        with store._errors(path):
            if path == "flat.mp4":
                raise OSError(5, "Input/output error")
        return download(store, path, target)

    def run() -> dict[str, dict[str, float]]:
        metrics = Metrics()
        with serving(metrics, port, HOST):
            night.score(archive, tmp_path, metrics=metrics)
            return scrape(port)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "download", fails_for_one)
        failed = run()
    assert {reason: count for reason, count in failed["stmae_batch_failures_total"].items() if count} == {"source": 1}
    assert failed["stmae_batch_sources_total"]["missing"] == 1
    assert failed["stmae_batch_work_left_bytes"][""] == (archive / "flat.mp4").stat().st_size
    assert "stmae_batch_last_success_timestamp_seconds" not in failed
    assert run()["stmae_batch_last_success_timestamp_seconds"][""] == pytest.approx(time.time(), abs=60)


def test_a_server_that_fails_is_a_failed_hour_with_its_cause(
    night: Night, archive: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    with serving(metrics, port, HOST):
        summary = night.score(archive, tmp_path, deadline_seconds=1e-5, metrics=metrics)
        found = scrape(port)
    assert not summary.complete
    assert found["stmae_batch_failures_total"]["deadline"] == len(summary.failures) > 0
    assert found["stmae_batch_units_total"]["failed"] == len(summary.failures)
    assert found["stmae_batch_units_total"]["done"] == 0


def test_a_run_that_has_ended_waits_until_its_last_counts_are_read(
    night: Night, scored: Path, archive: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = shutil.copytree(scored, tmp_path / "tables")
    metrics, began = Metrics(), time.monotonic()
    reader = threading.Timer(3.0, scrape, (port,))
    with serving(metrics, port, HOST):
        night.score(archive, tables, metrics=metrics)
        reader.start()
    assert 2.0 < time.monotonic() - began < exposed.LINGER_SECONDS
    monkeypatch.setattr(exposed, "LINGER_SECONDS", 0.1)
    with serving(Metrics(), port, HOST):
        pass
    with pytest.raises(urllib.error.URLError):
        scrape(port)


def test_the_command_serves_them_while_it_works(night: Night, archive: Path, tmp_path: Path, port: int) -> None:
    fitted = [f"--{name}={night.fitted / name}.json" for name in ("normality", "calibration")]
    places = [f"--archive={archive}", f"--tables={tmp_path}", f"--server={night.server_url}"]
    command = [sys.executable, "-m", "stmae", "score", *places, f"--deployment={night.deployment}", *fitted]
    job = subprocess.Popen([*command, f"--metrics-port={HOST}:{port}"], stdout=subprocess.PIPE, text=True)
    deadline, found = time.monotonic() + 60, dict[str, dict[str, float]]()
    while "stmae_batch_last_success_timestamp_seconds" not in found:
        assert time.monotonic() < deadline
        assert job.poll() is None
        try:
            found = scrape(port)
        except OSError:
            time.sleep(0.1)
    said, _ = job.communicate(timeout=30)
    assert job.returncode == 0
    assert f"with {found['stmae_batch_frames_scored_total'][night.deployment]:.0f} scored frames" in said


def test_a_port_that_cannot_be_had_is_named(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["score", f"--archive={tmp_path}", f"--tables={tmp_path}", "--deployment=a", "--server=127.0.0.1:9"]
    with socket.socket() as taken:
        taken.bind((HOST, port))
        taken.listen()
        assert main([*score, f"--metrics-port={HOST}:{port}"]) == 1
    assert f"metrics port {port}: Address already in use; choose another" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([*score, "--metrics-port=0"])
    assert stop.value.code == 2
