"""Past days are merged and taken apart; killed at any instant, nothing is lost and no row is seen twice."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_days import DAY, OTHER, Mortal, Work, contents, killed, put_hour, read, see_whole_sources

from stmae import tables
from stmae.batch.compaction import compact, expand_days
from stmae.batch.days import parts_of
from stmae.batch.replacement import recover
from stmae.cli import main
from stmae.storage import Store, StoreError, open_store

BEFORE = "2026-03-02"


def merge(store: Store) -> None:
    compact(store, BEFORE)


def expand(store: Store) -> None:
    expand_days(store, [DAY, OTHER, tables.Partition(DAY.model, "flat", tables.UNDATED)])


def by_hours(store: Store) -> Store:
    """Two hours, a frameless one and a day that is not to be touched."""
    store.prepare()
    for key, frames in (("08", 3), ("09", 0), ("0123456789abcdef0123456789abcdef", 4)):
        put_hour(store, DAY, key, frames)
    put_hour(store, OTHER, "08")
    return store


def merged(store: Store) -> Store:
    merge(by_hours(store))
    return store


def with_late_footage(store: Store) -> Store:
    """A merged day and an hour that came later."""
    put_hour(merged(store), DAY, "07", frames=5)
    return store


START = {"by_hours": by_hours, "merged": merged, "with_late_footage": with_late_footage}
CASES = [("by_hours", merge), ("with_late_footage", merge), ("merged", expand), ("with_late_footage", expand)]


def copy(objects: dict[str, bytes], store: Store) -> Store:
    store.prepare()
    for path, data in objects.items():
        store.put(path, data)
    return store


@pytest.mark.parametrize(("start", "work"), CASES)
def test_a_kill_at_any_write_or_deletion_loses_nothing(tmp_path: Path, start: str, work: Work) -> None:
    undisturbed = START[start](open_store(str(tmp_path / "undisturbed")))
    before, whole = contents(undisturbed), read(undisturbed)
    work(undisturbed)
    after = contents(undisturbed)
    kills = 0
    while killed(work, copy(before, store := open_store(str(tmp_path / f"{kills}"))), kills):
        see_whole_sources(store, whole)
        recover(store)
        assert read(store) == whole
        work(store)
        assert contents(store) == after
        kills += 1
    assert kills >= 20
    assert contents(store) == after
    assert read(store) == whole


@settings(max_examples=20)
@given(case=st.sampled_from(CASES), kills=st.lists(st.integers(0, 30), min_size=2, max_size=6))
def test_a_rerun_that_is_killed_too_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, Work], kills: list[int]
) -> None:
    start, work = case
    store = START[start](open_store(str(tmp_path_factory.mktemp("tables"))))
    whole = read(store)
    for after in kills:
        killed(work, store, after)
        see_whole_sources(store, whole)
    work(store)
    assert read(store) == whole
    assert list(store.list("replacing/")) == []
    keys = {tables.object_key(item.path) for item in store.list(DAY.folder("scores"))}
    assert (tables.DAY_KEY in keys) == (work is merge)


@pytest.mark.parametrize(("start", "work", "step"), [("by_hours", merge, 3), ("merged", expand, 11)])
def test_a_server_s_tables_survive_one_kill_after_the_other(
    bucket: tuple[Any, str], tmp_path: Path, start: str, work: Work, step: int
) -> None:
    undisturbed = START[start](open_store(str(tmp_path)))
    store, whole = copy(contents(undisturbed), open_store(f"s3://{bucket[1]}/tables")), read(undisturbed)
    work(undisturbed)
    for after in itertools.count(step=step):
        if not killed(work, store, after):
            break
        see_whole_sources(store, whole)
    assert after > 2 * step
    assert contents(store) == contents(undisturbed)


KILL_9 = """
import os, signal, sys
from pathlib import Path
from typing import Any
from stmae.cli import main
left, replace = int(sys.argv[1]), Path.replace

def replace_or_die(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = replace_or_die
main(["compact", "--tables", sys.argv[2], "--before", "2026-03-02"])
"""
"""kill -9 when the n-th object lies written and is about to take its place."""


@pytest.mark.parametrize("write", [2, 4, 7])
def test_a_rerun_after_kill_9_equals_an_undisturbed_compaction(tmp_path: Path, write: int) -> None:
    undisturbed = merged(open_store(str(tmp_path / "undisturbed")))
    store = by_hours(open_store(str(tmp_path / "tables")))
    whole = read(store)
    command = [sys.executable, "-c", KILL_9, str(write), str(tmp_path / "tables")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    see_whole_sources(store, whole)
    merge(store)
    assert {item.path: store.get(item.path) for item in store.list("")} == contents(undisturbed)


def test_a_merged_day_is_one_object_a_table_with_the_rows_of_its_hours(store: Store) -> None:
    whole, pictures = read(by_hours(store)), sorted(item.path for item in store.list("thumbnails/"))
    done = compact(store, BEFORE)
    assert (done.days, done.objects_before, done.objects) == (1, 12, 4)
    assert read(store) == whole
    assert sorted(item.path for item in store.list("thumbnails/")) == pictures
    for table in tables.UNIT_TABLES:
        assert [item.path for item in store.list(DAY.folder(table))] == [f"{DAY.folder(table)}day.parquet"]
        assert [item.path for item in store.list(OTHER.folder(table))] == [f"{OTHER.folder(table)}08.parquet"]


def test_what_is_merged_already_is_not_written_again(store: Store) -> None:
    merged(store)
    listed = list(store.list(""))
    assert compact(store, BEFORE).days == 0
    assert list(store.list("")) == listed


def test_late_footage_of_a_merged_day_is_merged_the_next_time(tmp_path: Path) -> None:
    store, at_once = (open_store(str(tmp_path / name)) for name in ("tables", "at once"))
    put_hour(by_hours(at_once), DAY, "07", frames=5)
    merge(at_once)
    merge(with_late_footage(store))
    assert contents(store) == contents(at_once)


def test_an_hour_that_is_scored_again_after_its_day_was_merged_has_its_new_rows(tmp_path: Path) -> None:
    store, at_once = (open_store(str(tmp_path / name)) for name in ("tables", "at once"))
    put_hour(by_hours(at_once), DAY, "08", frames=6)
    merged(store)
    expand_days(store, [DAY])
    put_hour(store, DAY, "08", frames=6)
    assert contents(store) == contents(at_once)
    merge(store)
    merge(at_once)
    assert contents(store) == contents(at_once)


def test_rows_of_an_hour_whose_coverage_was_not_written_stay_without(tmp_path: Path) -> None:
    store = by_hours(open_store(str(tmp_path)))
    store.delete(tables.object_path("coverage", DAY, "08"))
    whole = read(store)
    merge(store)
    assert read(store) == whole
    assert ("08" in parts_of(store, "scores", DAY), "08" in parts_of(store, "coverage", DAY)) == (True, False)


def test_a_day_without_coverage_one_without_a_date_and_other_models_are_left_alone(tmp_path: Path) -> None:
    store = by_hours(open_store(str(tmp_path)))
    put_hour(store, tables.Partition(DAY.model, "flat", tables.UNDATED), "0123")
    for item in list(store.list(DAY.folder("coverage"))):
        store.delete(item.path)
    before = contents(store)
    compact(store, "2026-03-02")
    put_hour(store, tables.Partition("other-00000000", "gate", "2026-02-01"), "08")
    before = contents(store)
    assert compact(store, "2026-03-02", DAY.model).days == 0
    assert contents(store) == before


def test_a_folder_that_cannot_be_looked_into_ends_the_work_before_anything_is_deleted(tmp_path: Path) -> None:
    class Locked(Mortal):
        def list(self, prefix: str = ""):
            for item in self.store.list(prefix):
                trouble = "not permitted" if prefix == DAY.folder("heatmaps") else None
                yield type(item)(item.path, item.size, item.etag, trouble)

    store = by_hours(open_store(str(tmp_path)))
    whole = read(store)
    with pytest.raises(StoreError, match=r"heatmaps.*not permitted"):
        compact(Locked(store, 1000), BEFORE)
    assert read(store) == whole


def test_a_day_is_left_as_it_is_where_what_lies_aside_was_taken_away(tmp_path: Path) -> None:
    store = by_hours(open_store(str(tmp_path)))
    whole = read(store)
    assert killed(merge, store, 5)
    store.delete(f"{DAY.folder('replacing')}scores.parquet")
    with pytest.raises(StoreError, match=r"replacing/.*/scores\.parquet: no such"):
        merge(store)
    assert read(store) == whole


def test_a_job_that_runs_each_week_says_how_old_days_must_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hours(open_store(str(tmp_path)))
    since = (datetime.now(UTC).date() - date.fromisoformat(BEFORE)).days
    assert main(["compact", "--tables", str(tmp_path), "--older-than", str(since + 1), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["days"] == 0
    assert main(["compact", "--tables", str(tmp_path), "--older-than", str(since), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["days"] == 1


def test_the_command_line_says_what_was_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_hours(open_store(str(tmp_path)))
    arguments = ["compact", "--tables", str(tmp_path), "--before", BEFORE]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"days": 1, "objects_before": 12, "objects": 4}
    assert main([*arguments, "--model", DAY.model]) == 0
    assert capsys.readouterr().out == "0 camera-days were merged: 0 objects became 0\n"
    assert main([*arguments, "--model", "gate"]) == 1
    assert "holds no rows of model 'gate'; correct the model" in capsys.readouterr().err
    assert main(["compact", "--tables", str(tmp_path / "none"), "--before", BEFORE]) == 1
    assert "holds no tables; correct the URI" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["compact", "--tables", str(tmp_path), "--before", "yesterday"])
