"""The status of a run, while it works and afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nights import GOOD, UNITS, Night

from stmae.batch import status
from stmae.batch.status import Status, read_statuses
from stmae.cli import main
from stmae.storage import FileStore, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def half(**fields: object) -> Status:
    about = {"model": "gate-0123abcd", "archive": "s3://a", "plan_digest": "0" * 64, "hours": 4, "bytes": 1000}
    times = {"started": NOON.isoformat(), "updated": (NOON + timedelta(seconds=100)).isoformat()}
    return Status(**{**about, **times, "hours_done": 2, "bytes_done": 500, "frames_scored": 3000, **fields})  # type: ignore[arg-type]


def test_a_run_tells_how_far_it_is_while_it_works_and_afterwards(
    night: Night, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, put = [], FileStore.put

    def put_and_look(store: FileStore, path: str, data: bytes) -> None:
        put(store, path, data)
        if path.startswith("coverage/"):
            seen.append(read_statuses(store, 1)[0].state)

    monkeypatch.setattr(FileStore, "put", put_and_look)
    summary = night.score(archive, tmp_path)
    assert seen == ["running"] * UNITS
    (last,) = read_statuses(open_store(str(tmp_path)), 5)
    assert (last.state, last.hours, last.hours_done) == ("complete", UNITS, UNITS)
    assert (last.frames_scored, last.events) == (summary.frames_scored, summary.events)
    assert last.bytes == last.bytes_done == sum((archive / path).stat().st_size for path in GOOD)
    assert night.score(archive, tmp_path).sources_scored == 0
    assert len(read_statuses(open_store(str(tmp_path)), 5)) == 1, "a run with nothing to do has none"


def test_a_run_that_ends_with_an_error_is_incomplete(
    night: Night, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: FileStore, path: str, target: Path) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(FileStore, "download", refuse)
    with pytest.raises(PermissionError):
        night.score(archive, tmp_path)
    (last,) = read_statuses(open_store(str(tmp_path)), 1)
    assert (last.state, last.hours_done) == ("incomplete", 0)


def test_the_time_left_follows_from_the_bytes_left() -> None:
    told = half().derived(NOON + timedelta(seconds=101))
    assert told == {"frames_per_second": 30.0, "seconds_left": 100.0, "silent": False}
    assert half(bytes_done=0).derived(NOON)["seconds_left"] is None
    assert half(state="complete").derived(NOON + timedelta(days=9)) == {
        "frames_per_second": 30.0,
        "seconds_left": None,
        "silent": False,
    }


def test_a_run_that_was_killed_is_silent() -> None:
    later = NOON + timedelta(seconds=100) + 2 * status.SILENT
    assert half().derived(later)["silent"]
    assert "not heard of since 2026-03-01T12:01:40" in half().message(later)


def test_the_command_shows_the_last_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(str(tmp_path))
    for hour in range(5):
        one = half(started=(NOON - timedelta(hours=hour)).isoformat(), state="complete", last_failures=["a.mp4: gone"])
        store.put(one.path, json.dumps({name: getattr(one, name) for name in Status.__slots__}).encode())
    assert main(["status", "--tables", str(tmp_path), "--last", "2"]) == 0
    first, failure, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("2026-03-01T12:00:00+00:00 gate-0123abcd: complete; 2 of 4 camera-hours, 3000 frames")
    assert failure.strip() == "a.mp4: gone"
    assert second.startswith("2026-03-01T11:00:00")
    assert main(["status", "--tables", str(tmp_path), "--json"]) == 0
    assert [run["state"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["complete"] * 3


def test_a_folder_without_runs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--tables", str(tmp_path)]) == 2
    assert "no run has written there" in capsys.readouterr().err
