"""Rows of the tables as reports read them: many objects side by side, since on S3 each is a request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stmae import tables
from stmae.batch import days
from stmae.storage import Store, StoreError
from stmae.storage.base import REQUESTS_AT_ONCE

Row = dict[str, Any]
"""A row of a table, with the columns that the path of its object states."""


def path_columns(path: str) -> dict[str, str]:
    """Returns the columns that the path of an object states: its partition, as far as it has one, and its `key`."""
    names = dict(part.split("=", 1) for part in path.split("/") if "=" in part)
    return {name: unquote(value) for name, value in names.items()} | {"key": tables.object_key(path) or ""}


def find_objects(store: Store, prefix: str) -> list[str]:
    """Returns the paths of the objects with rows below a prefix, sorted. Raises StoreError."""
    return [item.path for item in days.objects(store, prefix) if tables.object_key(item.path) is not None]


def read_objects(
    store: Store, paths: Sequence[str], columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> list[pa.Table]:
    """Returns the rows of each object with the columns that its path states.

    `columns` names those that are read, `where` says which rows are kept. An hour that has an object beside its
    compacted day was written later, and its object counts. Raises StoreError.
    """
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        keys[_folder(path)].add(path_columns(path)["key"])
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as readers:
        return list(readers.map(lambda path: _read(store, path, keys[_folder(path)], columns, where), paths))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _read(
    store: Store, path: str, keys: Container[str], columns: Sequence[str] | None, where: pc.Expression | None
) -> pa.Table:
    """Returns the rows of an object; `keys` are those of the objects in its folder."""
    stated, data = path_columns(path), store.get(path)
    try:
        if stated["key"] == tables.DAY_KEY:
            hours = days.split(data, columns).items()
            rows = pa.concat_tables(hour.slice(0, 0 if key in keys else None) for key, hour in hours)
        else:
            rows = pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)
    except ValueError as error:
        raise StoreError(f"{store.uri(path)}: cannot be read: {error}; score its day again") from error
    if where is not None:
        rows = rows.filter(where)
    for name, value in stated.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows
