"""Which objects are sources, and what is done already."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae import tables
from stmae.batch.plan import PlanError, make_plan
from stmae.storage import open_store

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1, max_size=20)


@given(camera=NAMES)
def test_any_camera_name_survives_the_partition(camera: str) -> None:
    folder = tables.Partition("m-01234567", camera, "2026-03-01").folder("scores")
    assert folder.count("/") == 4
    found = ds.partitioning(tables.PARTITIONING.schema, flavor="hive").parse(f"/{folder}x.parquet")
    assert found.equals(
        (ds.field("model") == "m-01234567") & (ds.field("camera") == camera) & (ds.field("date") == "2026-03-01")
    )


def test_a_camera_called_07_stays_07(tmp_path: Path) -> None:
    partition = tables.Partition("m-01234567", "07", "2026-03-01")
    table = pa.Table.from_pylist([], schema=tables.EVENTS)
    store = open_store(str(tmp_path))
    store.put(tables.object_path("events", partition, "k"), tables.to_parquet(table))
    data = ds.dataset(tmp_path / "events", partitioning=tables.PARTITIONING)
    assert data.schema.field("camera").type == pa.string()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("gate/2026-03-01/08-00-00.mp4", "gate/2026-03-02/08-00-00.MKV", "yard/x.avi", "notes.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    (tmp_path / "yard/._x.avi").write_bytes(b"resource fork")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash/y.avi").write_bytes(b"")
    return tmp_path


def planned(folder: Path, **options: str | None) -> list[str]:
    store = open_store(str(folder))
    return sorted(store.path(source.uri) for source in make_plan(store, **options).sources)


def test_videos_are_sources_and_hidden_or_other_files_are_not(folder: Path) -> None:
    assert planned(folder) == ["gate/2026-03-01/08-00-00.mp4", "gate/2026-03-02/08-00-00.MKV", "yard/x.avi"]


def test_a_plan_can_be_filtered_by_date_and_by_globs(folder: Path) -> None:
    assert planned(folder, date="2026-03-02") == ["gate/2026-03-02/08-00-00.MKV"]
    assert planned(folder, since="2026-03-02") == ["gate/2026-03-02/08-00-00.MKV", "yard/x.avi"]
    assert planned(folder, include="*.avi, 08-*.mp4") == ["gate/2026-03-01/08-00-00.mp4", "yard/x.avi"]
    assert planned(folder, include="yard/*") == ["yard/x.avi"]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("date", "2026-13-01", "date '2026-13-01': must be a day of the calendar"),
        ("since", "yesterday", "since 'yesterday': must be a day of the calendar"),
        ("date", "2027-01-01", "none of its 3 videos matches date 2027-01-01"),
        ("include", "*.ogv", r"matches include \*.ogv"),
    ],
)
def test_a_filter_that_keeps_nothing_is_an_error(folder: Path, name: str, value: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        planned(folder, **{name: value})


def test_an_archive_without_videos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="holds no video"):
        planned(tmp_path)


def test_a_plans_digest_changes_with_a_sources_bytes(folder: Path) -> None:
    before = make_plan(open_store(str(folder))).digest
    assert make_plan(open_store(str(folder))).digest == before
    (folder / "yard/x.avi").write_bytes(b"other")
    assert make_plan(open_store(str(folder))).digest != before
