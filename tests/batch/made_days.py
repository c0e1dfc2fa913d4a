"""Camera-days with made-up rows in every table, and what a reader sees of them, for tests of the tables' upkeep."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from stmae import tables
from stmae.storage import Store

DAY = tables.Partition("gate-0123abcd", "yard 2/ü", "2026-03-01")
OTHER = tables.Partition("gate-0123abcd", "07", "2026-03-02")
Work = Callable[[Store], object]
MADE = {
    pa.string(): lambda number, _: f"value {number}",
    pa.bool_(): lambda number, _: number % 2 == 0,
    pa.timestamp("us", tz="UTC"): lambda number, _: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=number / 10),
    pa.int32(): lambda number, _: number,
    pa.int64(): lambda number, _: number**2,
    pa.float32(): lambda _, random: float(np.float32(random.random())),
    pa.float64(): lambda _, random: random.random(),
    pa.binary(256): lambda _, random: random.bytes(256),
}
"""A value of a row by the type of its column."""


def made(table: str, source: str, count: int, seed: int = 0) -> pa.Table:
    """Returns rows of a source; every third value that may be null is."""
    random, schema = np.random.default_rng(seed), tables.SCHEMAS[table]
    rows = [
        {
            field.name: None if field.nullable and number % 3 == 2 else MADE[field.type](number, random)
            for field in schema
        }
        | {"source": source}
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def put_hour(store: Store, day: tables.Partition, key: str, frames: int = 3) -> None:
    """Writes a camera-hour of one video as the job does: the coverage last."""
    source = f"s3://archive/{day.camera}/{day.date}/{key}.mp4"
    counts = {"scores": frames, "heatmaps": frames, "events": frames // 3, "coverage": 1}
    for table in tables.UNIT_TABLES:
        rows = made(table, source, counts[table])
        store.put(tables.object_path(table, day, key), tables.to_parquet(rows))
    if frames:
        store.put(tables.thumbnail_path(day, tables.source_key(source), 1), b"a picture")


def contents(store: Store) -> dict[str, bytes]:
    """Returns every object, without writes that were cut off."""
    return {item.path: store.get(item.path) for item in store.list("") if "/." not in item.path}


def read(store: Store) -> dict[str, set[tuple[Any, ...]]]:
    """Returns the rows that any reader sees, by table. None may be there twice."""
    found = {}
    for table in tables.UNIT_TABLES:
        rows = [tuple(row.items()) for row in dataset(store, table).to_table().to_pylist()]
        found[table] = set(rows)
        assert len(found[table]) == len(rows), f"{table}: rows are there twice"
    return found


def see_whole_sources(store: Store, whole: dict[str, set[tuple[Any, ...]]]) -> None:
    """Looks as a reader does: no row twice, none that was not there, and all rows of what coverage tells of."""
    found = read(store)
    covered = {_source(row) for row in found["coverage"]}
    for table, rows in found.items():
        assert rows <= whole[table]
        assert {row for row in whole[table] if _source(row) in covered} <= rows


def _source(row: tuple[Any, ...]) -> tuple[str, str]:
    return dict(row)["model"], dict(row)["source"]


def dataset(store: Store, table: str) -> ds.Dataset:
    scheme, _, path = f"{store.root}/{table}".partition("://")
    system = fs.LocalFileSystem()
    if scheme == "s3":
        system = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
    return ds.dataset(path, partitioning=tables.PARTITIONING, filesystem=system)


class KilledError(Exception):
    """The process is gone."""


@dataclasses.dataclass
class Mortal:
    """A store whose process is killed after so many writes and deletions."""

    store: Store
    left: int
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def put(self, path: str, data: bytes) -> None:
        self._live()
        self.store.put(path, data)

    def delete(self, path: str) -> None:
        self._live()
        self.store.delete(path)

    def _live(self) -> None:
        with self.lock:
            if self.left == 0:
                raise KilledError
            self.left -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def killed(work: Work, store: Store, after: int) -> bool:
    """Tells whether `work` was killed after so many writes and deletions, before it was done."""
    try:
        work(Mortal(store, after))
    except KilledError:
        return True
    return False
