"""Archives as recorders and storage devices write them: every object is scored, has a row, or is counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nights import Night, film, rows

from stmae.cli import main
from stmae.video.writer import write_video

NAMES = {
    "2026-11-01/13/gate/05.10.mp4": "gate",
    "cam1/2026-11-01_13-05-10-033054.mp4": "cam1",
    "yard/2026-11-01/2026-11-01T13-05-12 person.mp4": "yard",
    "2026/11/01/Gate_00_20261101130510.mp4": "Gate_00",
    "SN123/2026-11-01/001/dav/13/13.05.10-13.05.18[M][0@0][0].dav": "SN123/001",
    "駐車場の正面入口の北側/階段の下の三番目の大きな扉の横にある新しいカメラ/2026-11-01/13-05-10.mp4": "",
    "entr\udce9e/2026-11-01/13-05-10.mp4": "entr\\xe9e",
}
"""Paths, and the cameras that they are of; one is too long for a folder, and is cut."""
STARTS = {"cam1": datetime(2026, 11, 1, 13, 5, 10, 33054, UTC)}


@pytest.fixture(scope="module")
def scored(night: Night, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The tables of an archive with names of many recorders, thumbnails, trash and a file of unknown kind."""
    site = tmp_path_factory.mktemp("recorders") / "site"
    film(site / "x.mp4", 20)
    for path in NAMES:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site / "x.mp4", site / path)
    (site / "x.mp4").unlink()
    for path in ("gate/@eaDir/x.mp4/SYNOPHOTO_FILM_M.mp4", "#recycle/gate/x.mp4", "gate/x.jpg", "gate/x\udce9.xyz"):
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(b"no matter")
    tables = site.parent / "tables"
    return tables, night.score(site, tables)


@pytest.mark.fault("names of all recorders")
def test_videos_of_all_recorders_are_scored_under_their_cameras(scored: tuple[Path, Any]) -> None:
    tables, summary = scored
    assert summary.complete
    coverage = {row["camera"]: row for row in rows(tables, "coverage") if row["status"] != "skipped"}
    for camera in filter(None, NAMES.values()):
        assert (coverage[camera]["status"], coverage[camera]["frames_scored"]) == ("scored", 16), camera
    assert summary.coverage == {"scored": len(NAMES), "skipped": 1}


def test_wall_times_are_those_of_the_names(scored: tuple[Path, Any]) -> None:
    for row in rows(scored[0], "scores"):
        if row["camera"] in set(NAMES.values()):
            start = STARTS.get(row["camera"], datetime(2026, 11, 1, 13, 5, 10, tzinfo=UTC))
            assert row["wall_time"] == start + timedelta(seconds=row["time_s"]), row["camera"]


@pytest.mark.fault("thumbnails, trash and unknown files")
def test_what_is_no_video_has_a_row_or_is_counted(scored: tuple[Path, Any]) -> None:
    tables, summary = scored
    (row,) = (row for row in rows(tables, "coverage") if row["status"] == "skipped")
    assert row["source"].endswith("gate/x%E9.xyz")
    assert row["reason"] == "not scored: x\\xe9.xyz has no video's extension"
    assert summary.left_out == {"trash": 2, "companion": 1}


def test_a_pattern_and_a_time_zone_say_what_names_mean(night: Night, tmp_path: Path) -> None:
    film(tmp_path / "site/front door/20261025/clip 023000.mp4", 20)
    pattern = "{camera}/%Y%m%d/clip %H%M%S"
    night.score(tmp_path / "site", tmp_path / "tables", layout=pattern, zone="Europe/Berlin")
    (row,) = rows(tmp_path / "tables", "coverage")
    assert (row["camera"], row["date"]) == ("front door", "2026-10-25")
    assert row["start_time"] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert "occurs twice in Europe/Berlin" in row["reason"]


def test_footage_slower_than_the_model_is_used_with_is_scored_and_told(night: Night, tmp_path: Path) -> None:
    write_video(tmp_path / "site/gate/2026-11-01/13-05-10.mp4", _still(20), 5.0)
    night.score(tmp_path / "site", tmp_path / "tables")
    (row,) = rows(tmp_path / "tables", "coverage")
    assert (row["status"], row["frames_scored"], row["seconds_scored"]) == ("scored", 16, pytest.approx(3.2))
    assert row["reason"] == "has 5 frames/s, fewer than the 10 that the model is used with"


def _still(frames: int) -> list[Any]:
    return [np.full((96, 128, 3), 80 + index, np.uint8) for index in range(frames)]


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    for camera in ("gate", "locked", "shown", "yard"):
        film(tmp_path / f"site/{camera}/2026-11-01/08-00-00.mp4", 20)
    (tmp_path / "site/locked").chmod(0)
    (tmp_path / "site/shown/2026-11-01").chmod(0o444)  # its names may be read, its files not
    (tmp_path / "site/gate/2026-11-01/08-00-00.mp4").chmod(0)
    yield tmp_path
    for folder in ("locked", "shown/2026-11-01"):
        (tmp_path / "site" / folder).chmod(0o755)


@pytest.mark.fault("files and folders that may not be read")
def test_what_may_not_be_read_is_named_and_the_rest_is_scored(night: Night, unreadable: Path) -> None:
    """In a process that is bound by permissions, which root is not."""
    command = [sys.executable, "-m", "stmae", "score", "--json", "--archive", str(unreadable / "site")]
    command += ["--tables", str(unreadable / "tables"), "--server", night.server_url]
    command += ["--deployment", night.deployment]
    for name in ("normality", "calibration"):
        command += [f"--{name}", str(night.fitted / f"{name}.json")]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("setpriv is absent: root may read everything")
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    for path in ("site/locked", "site/shown/2026-11-01/08-00-00.mp4", "site/gate/2026-11-01/08-00-00.mp4"):
        assert f"{path}: not permitted" in run.stderr
    assert json.loads(run.stdout)["coverage"] == {"missing": 1, "scored": 1}
    gate, yard = rows(unreadable / "tables", "coverage")
    assert (gate["camera"], yard["camera"]) == ("gate", "yard")
    assert "not permitted" in gate["reason"]
    (unreadable / "site/gate/2026-11-01/08-00-00.mp4").chmod(0o644)
    (unreadable / "site/locked").chmod(0o755)
    (unreadable / "site/shown/2026-11-01").chmod(0o755)
    assert night.score(unreadable / "site", unreadable / "tables").coverage == {"scored": 4}


def test_an_archive_is_looked_at_before_it_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("cam 1/20261101/rec 130510.mp4", "cam 1/20261101/rec 130610.mp4", "cam 1/a.xyz", "#recycle/b.mp4"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert main(["archive", "inspect", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kinds"] == {"video": 2, "trash": 1, "unknown": 1}
    assert found["layouts"] == {"": 2}
    assert found["proposal"] == "{camera}/%Y%m%d/rec %H%M%S"
    assert main(["archive", "inspect", str(tmp_path), "--layout", found["proposal"]]) == 0
    said = capsys.readouterr().out
    assert "camera cam 1, 2026-11-01 13:05:10 UTC" in said
    assert "no video by their names:\n  cam 1/a.xyz" in said


def test_names_that_are_not_utf_8_can_be_shown_anywhere(tmp_path: Path) -> None:
    for name in (b"entr\xe9e/2026-11-01/13-05-10.mp4", b"\xe9.xyz"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command = [sys.executable, "-m", "stmae", "archive", "inspect", str(tmp_path)]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=strict)
    assert run.returncode == 0, run.stderr
    assert "entr\\xe9e/2026-11-01/13-05-10.mp4" in run.stdout
    assert "\\xe9.xyz" in run.stdout
