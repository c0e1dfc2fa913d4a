"""What a run would do is told before it starts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nights import GOOD, UNITS, Night, bytes_of

from stmae.archive.layouts import Place
from stmae.archive.sources import Source
from stmae.batch.outlook import footage_seconds
from stmae.cli import main

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def recorded(seconds: float, *, camera: str = "gate", end: float | None = None, size: int = 100) -> Source:
    start = NOON + timedelta(seconds=seconds)
    stop = None if end is None else NOON + timedelta(seconds=end)
    return Source(f"s3://a/{camera}/{seconds}", Place(camera, "2026-03-01", start, stop), "e", size)


def test_recordings_last_until_the_next_begins() -> None:
    assert footage_seconds([recorded(10 * index) for index in range(60)]) == 600
    assert footage_seconds([recorded(600 * index, end=600 * index + 8) for index in range(6)]) == 6 * 8


def test_a_gap_is_no_footage() -> None:
    assert footage_seconds([*(recorded(10 * index) for index in range(60)), recorded(7200), recorded(7210)]) == 620


def test_videos_without_times_are_as_long_as_their_bytes_suggest() -> None:
    loose = Source("s3://a/x", Place("x", "undated"), "e", 300)
    assert footage_seconds([*(recorded(10 * index) for index in range(60)), loose]) == 630
    assert footage_seconds([loose]) == 0


def test_a_plan_says_what_is_left_and_writes_nothing(
    night: Night, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["plan", "--archive", str(archive), "--tables", str(tmp_path), "--server", night.server_url]
    command += ["--deployment", night.deployment]
    for name in ("normality", "calibration"):
        command += [f"--{name}", str(night.fitted / f"{name}.json")]
    assert main([*command, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert not bytes_of(tmp_path, runs=True)
    assert (before["cameras"], before["hours"], before["hours_left"]) == (3, UNITS, UNITS)
    assert before["videos"] == before["videos_left"] == len(GOOD)
    assert before["bytes_left"] == sum((archive / path).stat().st_size for path in GOOD)
    assert before["finish"] is None
    night.score(archive, tmp_path, date="2026-03-01")
    assert main([*command, "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert (after["hours_left"], after["videos_left"]) == (UNITS - 1, len(GOOD) - 2)
    assert after["frames_per_second"] > 0
    assert after["finish"].endswith("UTC")
    night.score(archive, tmp_path)
    assert main(command) == 0
    assert "Nothing is to be done" in capsys.readouterr().out
