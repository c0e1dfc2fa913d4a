"""The command line: 0 done, 1 could not be completed, 2 bad usage; errors say file, field and mend, without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stmae.cli import main


def run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def test_data_root_prints_where_footage_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data-root", "ped2-cpu", "--workspace", "elsewhere") == 0
    assert run("data-root", "walkway", "--set", "name=gate") == 0
    assert capsys.readouterr().out.splitlines() == ["elsewhere/datasets/ped2", "work/datasets/gate"]


def test_prepare_prints_the_clips_of_each_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--set", "walkway.train_clips=2", "--set", "walkway.test_clips=1", "--set", "walkway.frames=30"]
    folders = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert run("prepare", "walkway", *few, *folders, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["clips"], printed["frames"]) == ({"train": 1, "calibration": 1, "test": 1}, 90)
    assert run("prepare", "walkway", *few, *folders) == 0
    assert "clips: 1 train, 1 calibration, 1 test" in capsys.readouterr().out


def test_config_prints_the_resolved_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "ped2-cpu", "--set", "model.width=8") == 0
    assert json.loads(capsys.readouterr().out)["model"]["width"] == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["config", "ped3"], "did you mean"),
        (["config", "ped2", "--set", "model.sise=8"], "model.sise"),
        (["config", "ped2", "--set", "data.reader=pad2"], "did you mean 'ped2'"),
        (["config", "walkway", "--set", "walkway.sede=8"], "unknown key 'walkway.sede' (did you mean 'seed'?)"),
        (["data-root", "ped2", "--set", "data.reader=pad2"], "did you mean 'ped2'"),
        (["prepare", "walkway", "--set", "walkway.sede=8", "--data-root", "no", "--out", "no"], "walkway.sede"),
        (["score"], "--archive"),
        (["score", "--archive", "", "--tables", "t"], "--archive: is empty"),
        (["score", "--archive", "a", "--tables", "t", "--date", "2026-02-30"], "must be a day of the calendar"),
        (["report", "--tables", "t", "--date", "yesterday"], "must be a day of the calendar"),
        (["scor"], "invalid choice"),
        (["score", "--archive", "a", "--tables", "t", "--repository", "nowhere"], "publish one"),
        (["score", "--archive", "a", "--tables", "t", "--engine", "spark"], "invalid choice"),
    ],
)
def test_bad_usage_exits_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_work_that_cannot_be_done_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert run("prepare", "ped2", "--data-root", str(tmp_path / "none"), "--out", out) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert run("report", "--tables", str(tmp_path)) == 1
    assert run("demo", "walkway", "--workspace", str(tmp_path)) == 1
    assert "make pipeline-run DATASET=walkway" in capsys.readouterr().err


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    few = ["--set", "walkway.train_clips=2", "--set", "walkway.test_clips=1", "--set", "walkway.frames=30"]
    blocked = str(tmp_path / "file" / "out")
    assert run("prepare", "walkway", *few, "--data-root", str(tmp_path / "data"), "--out", blocked) == 1
    assert blocked in capsys.readouterr().err
