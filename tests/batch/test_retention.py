"""What is older than it may be kept is deleted, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_days import DAY, OTHER, contents, killed, put_hour, read, see_whole_sources

from stmae import tables
from stmae.batch.compaction import compact, expand_days
from stmae.batch.retention import prune
from stmae.cli import main
from stmae.storage import Store, open_store

BEFORE = "2026-03-02"
LOOSE = tables.Partition(DAY.model, "flat", tables.UNDATED)
NEWER = tables.Partition("gate-ffffffff", DAY.camera, DAY.date)


@pytest.fixture
def store(store: Store) -> Store:
    return fill(store)


def fill(store: Store) -> Store:
    """Two hours of a day that is to go, in two models, a later day, a video without a date, and a run."""
    store.prepare()
    for day, key in ((DAY, "08"), (DAY, "09"), (NEWER, "08"), (OTHER, "08"), (LOOSE, "0123")):
        put_hour(store, day, key)
    run = tables.SCHEMAS["runs"].empty_table()
    store.put(tables.run_path(DAY.model, "0" * 64), tables.to_parquet(run))
    return store


def without(objects: dict[str, bytes], *days: tables.Partition, folders: str | None = None) -> dict[str, bytes]:
    """Returns the objects that lie in other days, or in another folder than `folders`."""
    return {
        path: data
        for path, data in objects.items()
        if tables.Partition.of(path) not in days or (folders and not path.startswith(folders))
    }


def test_rows_and_pictures_of_days_before_a_date_are_deleted(store: Store) -> None:
    before = contents(store)
    done = prune(store, BEFORE)
    left = contents(store)
    assert left == without(before, DAY, NEWER)
    gone = [len(data) for path, data in before.items() if path not in left]
    assert (done.days, done.objects, done.bytes) == (2, 15, sum(gone))
    assert prune(store, BEFORE).objects == 0


def test_one_model_is_kept_to_and_pictures_alone_can_be_deleted(store: Store) -> None:
    before = contents(store)
    assert prune(store, BEFORE, NEWER.model, only_pictures=True).objects == 1
    assert contents(store) == without(before, NEWER, folders="thumbnails/")
    assert prune(store, BEFORE, NEWER.model).objects == 4
    assert contents(store) == without(before, NEWER)


def test_a_merged_day_and_one_that_lies_aside_are_deleted_for_good(tmp_path: Path) -> None:
    store = fill(open_store(str(tmp_path)))
    before = contents(store)
    compact(store, BEFORE, NEWER.model)
    assert killed(lambda store: compact(store, BEFORE), store, 9)
    assert list(store.list("replacing/"))
    prune(store, BEFORE)
    assert contents(store) == without(before, DAY, NEWER)
    compact(store, "2027-01-01")
    assert {row for row in read(store)["coverage"] if dict(row)["date"] == DAY.date} == set()


def test_a_kill_leaves_no_coverage_without_its_rows_and_a_rerun_deletes_the_rest(tmp_path: Path) -> None:
    whole = read(fill(open_store(str(tmp_path / "whole"))))
    for kills in range(20):
        store = fill(open_store(str(tmp_path / f"{kills}")))
        before = contents(store)
        assert killed(lambda store: prune(store, BEFORE), store, kills) == (kills < 19)
        see_whole_sources(store, whole)
        prune(store, BEFORE)
        assert contents(store) == without(before, DAY, NEWER)


def test_a_killed_prune_of_a_merged_day_is_finished_before_an_hour_of_it_is_scored_again(tmp_path: Path) -> None:
    for kills in range(1, 8):
        store = fill(open_store(str(tmp_path / f"{kills}")))
        compact(store, BEFORE)
        assert killed(lambda store: prune(store, BEFORE, DAY.model), store, kills)
        expand_days(store, [DAY])
        put_hour(store, DAY, "08")
        found = {dict(row)["source"] for row in read(store)["scores"] if dict(row)["model"] == DAY.model}
        assert f"s3://archive/{DAY.camera}/{DAY.date}/09.mp4" not in found


def test_only_what_lies_in_a_day_is_deleted(tmp_path: Path) -> None:
    store = fill(open_store(str(tmp_path)))
    others = [
        "notes.txt",
        "scores/readme.md",
        "reports/model=a/camera=b/date=2026-01-01/x.html",
        "scores/date=2020-01-01/x",
    ]
    for path in others:
        store.put(path, b"of someone else")
    store.put(f"{DAY.folder('scores')}.writing-10.parquet", b"a write that was cut off")
    prune(store, BEFORE)
    assert {path for path in contents(store) if path in others} == set(others)
    assert list(store.list(DAY.folder("scores"))) == []


def test_the_command_line_says_what_was_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: Any) -> int:
        return main(["prune", "--tables", str(tmp_path), "--before", BEFORE, *arguments])

    fill(open_store(str(tmp_path)))
    assert run("--model", NEWER.model, "--pictures", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"days": 1, "objects": 1, "bytes": len(b"a picture")}
    assert run() == 0
    assert capsys.readouterr().out.startswith("14 objects (")
    assert run("--model", "gate") == 1
    assert "holds no rows of model 'gate'; correct the model" in capsys.readouterr().err
    assert run() == 0
    with pytest.raises(SystemExit, match="2"):
        main(["prune", "--tables", str(tmp_path)])
