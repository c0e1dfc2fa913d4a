"""Merges the hours of a camera-day into one object a table, and takes such a day apart again."""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from stmae.batch.days import days_before, merge, objects, parts_of, require_rows
from stmae.batch.replacement import recover, replace
from stmae.storage.base import Store
from stmae.tables import DAY_KEY, UNDATED, UNIT_TABLES, Partition, object_key

WORKERS = 4
"""Camera-days that are worked on at a time; their rows are in memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class Compaction:
    """What was merged."""

    days: int
    """Camera-days."""
    objects_before: int
    objects: int

    def message(self) -> str:
        """Returns it in words."""
        return f"{self.days} camera-days were merged: {self.objects_before} objects became {self.objects}"


def compact(store: Store, before: str, model: str | None = None) -> Compaction:
    """Merges the hours of all camera-days before a date, YYYY-MM-DD; a day that is merged already is left alone.

    `model` keeps to one model partition. A day without coverage rows is left to the job that began it. Raises
    StoreError; ValueError for a date that is none and where there are no tables.
    """
    require_rows(store, model)
    recover(store)
    unmerged = _unmerged(store, before, model)
    bar = tqdm(total=len(unmerged), unit="day", disable=not sys.stderr.isatty())
    with bar, ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda day: replace(store, day, _merged(store, day)), unmerged):
            bar.update()
    return Compaction(
        days=len(unmerged),
        objects_before=sum(len(paths) for paths in unmerged.values()),
        objects=sum(len({path.partition("/")[0] for path in paths}) for paths in unmerged.values()),
    )


def expand_days(store: Store, days: Iterable[Partition]) -> None:
    """Takes those of some camera-days apart that are merged: each hour has objects of its own with its former bytes.

    That is necessary before an hour of such a day is written. Raises StoreError.
    """
    recover(store)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda day: _expand(store, day), sorted({day for day in days if day.date != UNDATED})))


def _unmerged(store: Store, before: str, model: str | None) -> dict[Partition, list[str]]:
    """Returns the covered days that have hours with objects of their own, with the paths of all their objects."""
    paths: defaultdict[Partition, list[str]] = defaultdict(list)
    for table in UNIT_TABLES:
        for day, items in days_before(store, table, before, model).items():
            paths[day] += [item.path for item in items if object_key(item.path)]
    return {
        day: found
        for day, found in sorted(paths.items())
        if any(object_key(path) != DAY_KEY for path in found) and any(path.startswith("coverage/") for path in found)
    }


def _merged(store: Store, day: Partition) -> dict[str, bytes]:
    return {table: merge(parts) for table in UNIT_TABLES if (parts := parts_of(store, table, day))}


def _expand(store: Store, day: Partition) -> None:
    if any(object_key(item.path) == DAY_KEY for item in objects(store, day.folder("coverage"))):
        replace(store, day, _merged(store, day), by_hour=True)
