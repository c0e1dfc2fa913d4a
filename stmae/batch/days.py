"""Camera-days: where they lie, their rows by hour, and the format of a compacted one, which is one object a table.

The rows of a compacted day lie in order of the keys of its hours. The Parquet key-value metadata `stmae.rows` say which
rows are whose: a JSON list of `[key, rows]`, which names hours without rows too.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.layouts import parse_day
from stmae.storage.base import Listed, Store, StoreError

ROWS = b"stmae.rows"
"""The key of the metadata."""


def merge(parts: Mapping[str, pa.Table]) -> bytes:
    """Returns one Parquet object of the rows of at least one hour; `parts` are the hours' tables by key."""
    keys = sorted(parts)
    rows = json.dumps([[key, parts[key].num_rows] for key in keys])
    return tables.to_parquet(pa.concat_tables(parts[key] for key in keys).replace_schema_metadata({ROWS: rows}))


def split(data: bytes, columns: Sequence[str] | None = None) -> dict[str, pa.Table]:
    """Returns the hours of a merged object by key; `columns` names those that are read.

    `to_parquet` of an hour with all columns gives the bytes of the object that it was. Raises ValueError for an object
    that was not merged.
    """
    table = pq.read_table(io.BytesIO(data), columns=columns)
    metadata = table.schema.metadata or {}
    if ROWS not in metadata:
        raise ValueError(f"no compacted day: the metadata {ROWS.decode()!r} are missing; move the object away")
    table = table.replace_schema_metadata(None)
    parts, start = {}, 0
    for key, rows in json.loads(metadata[ROWS]):
        parts[key] = table.slice(start, rows).combine_chunks()
        start += rows
    return parts


def parts_of(
    store: Store, table: str, partition: tables.Partition, columns: Sequence[str] | None = None
) -> dict[str, pa.Table]:
    """Returns the rows of a camera-day and table by the key of their hour, whether the day was compacted or not.

    An hour that has an object beside the compacted day was written later, and its object counts. Raises StoreError,
    ValueError for a `day.parquet` that was not merged.
    """
    merged, alone = {}, {}
    for item in objects(store, partition.folder(table)):
        key = tables.object_key(item.path)
        if key == tables.DAY_KEY:
            try:
                merged = split(store.get(item.path), columns)
            except ValueError as error:
                raise ValueError(f"{store.uri(item.path)}: {error}") from None
        elif key is not None:
            alone[key] = pq.read_table(io.BytesIO(store.get(item.path)), columns=columns)
    return merged | alone


def days_before(store: Store, folder: str, date: str, model: str | None = None) -> dict[tables.Partition, list[Listed]]:
    """Returns what a folder of the tables, e.g. `scores`, holds of camera-days before a date (YYYY-MM-DD).

    `model` keeps to one model partition. What has no date is left out. Raises StoreError, ValueError for a date that
    is none.
    """
    if parse_day(date) is None:
        raise ValueError(f"date {date!r}: must be a day of the calendar, YYYY-MM-DD")
    found: defaultdict[tables.Partition, list[Listed]] = defaultdict(list)
    for item in objects(store, f"{folder}/model={model}/" if model else f"{folder}/"):
        partition = tables.Partition.of(item.path)
        if partition is not None and partition.date != tables.UNDATED and partition.date < date:
            found[partition].append(item)
    return found


def require_rows(store: Store, model: str | None = None) -> None:
    """Raises ValueError where tables hold nothing at all, or nothing of a model partition: a name is mistyped."""
    below = f"model={model}/" if model else ""
    if not any(True for table in tables.SCHEMAS for _ in store.list(f"{table}/{below}")):
        what = f"no rows of model {model!r}; correct the model" if model else "no tables; correct the URI"
        raise ValueError(f"{store.root}: holds {what}")


def objects(store: Store, prefix: str) -> Iterator[Listed]:
    """Yields the objects below a prefix. Raises StoreError where a part of it cannot be looked into."""
    for item in store.list(prefix):
        if item.trouble is not None:
            raise StoreError(f"{store.uri(item.path)}: {item.trouble}")
        yield item
