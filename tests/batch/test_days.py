"""A compacted day gives its hours back, byte for byte."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_days import DAY, made, put_hour

from stmae import tables
from stmae.batch.days import days_before, merge, parts_of, split
from stmae.storage import open_store

KEYS = st.sampled_from([f"{hour:02}" for hour in range(24)]) | st.text("0123456789abcdef", min_size=32, max_size=32)
HOURS = st.dictionaries(KEYS, st.integers(0, 40), min_size=1, max_size=6)


def hours(table: str, counts: dict[str, int]) -> dict[str, bytes]:
    return {key: tables.to_parquet(made(table, key, count, count)) for key, count in counts.items()}


def rows(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


@given(table=st.sampled_from(tables.UNIT_TABLES), counts=HOURS)
def test_the_hours_of_a_merged_object_have_the_bytes_that_they_had(table: str, counts: dict[str, int]) -> None:
    objects = hours(table, counts)
    parts = split(merge({key: rows(data) for key, data in objects.items()}))
    assert {key: tables.to_parquet(part) for key, part in parts.items()} == objects
    assert list(parts) == sorted(objects)


@given(counts=HOURS)
def test_a_merged_object_is_plain_parquet_and_some_of_its_columns_can_be_split(
    counts: dict[str, int],
) -> None:
    parts = {key: rows(data) for key, data in hours("scores", counts).items()}
    merged = merge(parts)
    assert rows(merged).equals(pa.concat_tables(parts[key] for key in sorted(parts)))
    assert split(merged, ["frame"]) == {key: part.select(["frame"]) for key, part in parts.items()}


def test_an_hour_of_more_rows_than_a_row_group_has_the_bytes_that_it_had() -> None:
    frames = pa.array(range(1_100_000), pa.int32())
    objects = {key: tables.to_parquet(pa.table({"frame": frames})) for key in ("08", "09")}
    parts = split(merge({key: rows(data) for key, data in objects.items()}))
    assert {key: tables.to_parquet(part) for key, part in parts.items()} == objects


def test_the_rows_of_a_day_are_found_merged_or_not_and_a_later_object_of_an_hour_counts(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for key in ("08", "09"):
        put_hour(store, DAY, key)
    alone = parts_of(store, "scores", DAY)
    store.put(tables.object_path("scores", DAY, tables.DAY_KEY), merge(alone))
    store.delete(tables.object_path("scores", DAY, "08"))
    put_hour(store, DAY, "09", frames=5)
    found = parts_of(store, "scores", DAY)
    assert (found["08"], found["09"].num_rows) == (alone["08"], 5)


def test_a_day_object_that_is_none_is_named_with_what_to_do(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put(tables.object_path("scores", DAY, tables.DAY_KEY), tables.to_parquet(made("scores", "a", 1)))
    with pytest.raises(ValueError, match=r"day\.parquet: no compacted day.*move the object away"):
        parts_of(store, "scores", DAY)


def test_a_date_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="date '2026-3-01': must be a day of the calendar, YYYY-MM-DD"):
        days_before(open_store(str(tmp_path)), "scores", "2026-3-01")
