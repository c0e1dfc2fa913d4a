"""What is done is known from coverage rows, and each object of them is read once."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_tables import MODEL

from stmae import tables
from stmae.archive.layouts import Place
from stmae.archive.sources import Source
from stmae.archive.timeline import Unit, inputs_digest, units_of
from stmae.batch import done
from stmae.batch.compaction import compact, expand_days
from stmae.batch.done import done_units
from stmae.storage import FileStore, open_store

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


class Counted(FileStore):
    """Counts the objects that are read."""

    read = 0

    def get(self, path: str) -> bytes:
        self.read += 1
        return super().get(path)


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


@pytest.fixture
def units() -> list[Unit]:
    """Three days of an hour a file."""
    starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(72)]
    return units_of(
        Source(f"s3://a/{start:%d-%H}.mp4", Place("gate", f"{start:%Y-%m-%d}", start), "e", 1) for start in starts
    )


def cover(store: FileStore, unit: Unit, *, inputs: str | None = None, status: str = "scored") -> None:
    row = dict.fromkeys(tables.COVERAGE.names) | {
        "source": unit.own[0].uri,
        "etag": "e",
        "inputs": inputs or inputs_digest(unit.stream),
        "status": status,
        **dict.fromkeys(("bytes", "frames_decoded", "frames_scored"), 0),
        **dict.fromkeys(("seconds", "seconds_decoded", "seconds_scored"), 0.0),
    }
    rows = tables.pa.Table.from_pylist([row], schema=tables.COVERAGE)
    store.put(tables.object_path("coverage", unit.partition(MODEL), unit.key), tables.to_parquet(rows))


def test_a_unit_is_done_whose_rows_name_its_inputs_and_miss_nothing(store: Counted, units: list[Unit]) -> None:
    cover(store, units[0])
    cover(store, units[1], inputs="0" * 16)
    cover(store, units[2], status="missing")
    cover(store, units[3], status="undecodable")
    found = done_units(store, MODEL, units)
    assert found.statuses == {"scored": 1, "undecodable": 1}
    assert found.left == [units[1], units[2], *units[4:]]


def test_an_index_spares_reading_what_was_read(
    store: Counted, units: list[Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(done, "WORTH_AN_INDEX", 10)
    for unit in units[:-1]:
        cover(store, unit)
    first = done_units(store, MODEL, units)
    assert first.left == units[-1:]
    assert first.read == 71
    first.keep(store, MODEL)
    store.read = 0
    again = done_units(store, MODEL, units)
    assert (again.statuses, again.left) == (first.statuses, first.left)
    assert (again.read, store.read) == (0, 1), "the index alone"
    cover(store, units[-1])
    cover(store, units[5], inputs="0" * 16)
    (store.folder / tables.object_path("coverage", units[6].partition(MODEL), units[6].key)).unlink()
    changed = done_units(store, MODEL, units)
    assert changed.read == 2
    assert changed.left == [units[5], units[6]]


def test_few_objects_are_worth_no_index(store: Counted, units: list[Unit]) -> None:
    cover(store, units[0])
    done_units(store, MODEL, units).keep(store, MODEL)
    assert not list(store.list("index/"))


def test_an_index_that_is_none_is_done_without(store: Counted, units: list[Unit]) -> None:
    cover(store, units[0])
    store.put(f"index/model={MODEL}.parquet", b"not a table")
    assert done_units(store, MODEL, units).left == units[1:]


@pytest.mark.parametrize("index", [False, True])
def test_a_compacted_day_is_done_as_its_hours_were(
    store: Counted, units: list[Unit], monkeypatch: pytest.MonkeyPatch, index: bool
) -> None:
    monkeypatch.setattr(done, "WORTH_AN_INDEX", 1 if index else 1000)
    for unit in units[:30]:
        cover(store, unit)
    compact(store, "2026-03-02")
    found = done_units(store, MODEL, units)
    assert found.left == units[30:]
    assert found.merged == frozenset(), "nothing is to be written there"
    assert found.read == 1 + 6
    found.keep(store, MODEL)
    assert done_units(store, MODEL, units).read == (0 if index else 7)
    late = dataclasses.replace(units[3], after=units[5].own[0])
    changed = done_units(store, MODEL, [*units[:3], late])
    assert changed.left == [late]
    assert changed.merged == {units[0].partition(MODEL)}
    expand_days(store, changed.merged)
    assert done_units(store, MODEL, units).left == units[30:]


def test_of_one_day_no_other_is_listed(store: Counted, units: list[Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    for unit in units:
        cover(store, unit)
    listed = []
    listing = FileStore.list
    monkeypatch.setattr(FileStore, "list", lambda store, prefix="": listed.append(prefix) or listing(store, prefix))
    assert done_units(store, MODEL, units[24:48]).left == []
    assert listed == [units[24].partition(MODEL).folder("coverage")]


def test_undated_units_are_done_too(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (loose,) = units_of([Source("s3://a/x.mp4", Place("gate", tables.UNDATED), "e", 1)])
    assert isinstance(store, FileStore)
    cover(store, loose)
    assert done_units(store, MODEL, [loose]).left == []
