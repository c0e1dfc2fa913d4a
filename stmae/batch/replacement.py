"""Replaces all objects of a camera-day by others. A process that is killed at any instant loses nothing.

What is to be there is first written aside, below ASIDE, and then a mark. Then the objects in place are deleted, and
what lies aside is put in their place: merged, or by hour. At last the mark is deleted, and then the rest that lies
aside. Whoever finds the mark finishes the work. No row is ever there twice, and where coverage rows are, all the rest
is there: they are deleted first and put last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from stmae.batch.days import objects, split
from stmae.storage.base import Store
from stmae.tables import DAY_KEY, UNIT_TABLES, Partition, object_path, to_parquet

ASIDE = "replacing"
"""The folder below the tables' root, outside of every table, in which days lie aside."""


def replace(store: Store, day: Partition, merged: Mapping[str, bytes], *, by_hour: bool = False) -> None:
    """Puts merged objects in the place of a day's objects; `merged` has one a table that is to have rows.

    `by_hour` puts the objects of their hours instead. `recover` is to be called before. Raises StoreError.
    """
    for table, data in merged.items():
        store.put(_aside(day, table), data)
    store.put(_mark(day), json.dumps(list(merged)).encode())
    _finish(store, day, by_hour=by_hour)


def recover(store: Store) -> None:
    """Finishes what killed processes left: afterwards each day is merged, by hour or deleted. Raises StoreError."""
    for day in sorted({day for item in objects(store, f"{ASIDE}/") if (day := Partition.of(item.path))}):
        _finish(store, day)


def _aside(day: Partition, table: str) -> str:
    return f"{day.folder(ASIDE)}{table}.parquet"


def _mark(day: Partition) -> str:
    """Returns the path of the object that tells that the whole day lies aside, and which tables it has."""
    return f"{day.folder(ASIDE)}complete.json"


def _finish(store: Store, day: Partition, *, by_hour: bool = False) -> None:
    """Puts what lies aside in its place, if it is the whole day, and deletes it."""
    aside = {item.path for item in objects(store, day.folder(ASIDE))}
    if _mark(day) in aside:
        merged = {table: store.get(_aside(day, table)) for table in json.loads(store.get(_mark(day)))}
        _delete(store, day)
        for table in sorted(merged, key=UNIT_TABLES.index):
            hours = _hours(merged[table]) if by_hour else {DAY_KEY: merged[table]}
            for key, data in hours.items():
                store.put(object_path(table, day, key), data)
        store.delete(_mark(day))
    for path in sorted(aside - {_mark(day)}):
        store.delete(path)


def _delete(store: Store, day: Partition) -> None:
    for table in reversed(UNIT_TABLES):
        for item in list(objects(store, day.folder(table))):
            if item.path.endswith(".parquet"):  # writes that were cut off too, but nothing that is not ours
                store.delete(item.path)


def _hours(data: bytes) -> dict[str, bytes]:
    return {key: to_parquet(part) for key, part in split(data).items()}
