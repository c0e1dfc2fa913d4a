"""Deletes what is older than it may be kept: rows and pictures, or pictures alone."""

from __future__ import annotations

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from stmae.batch.days import days_before, objects, require_rows
from stmae.batch.replacement import recover, replace
from stmae.storage.base import REQUESTS_AT_ONCE, Store
from stmae.tables import UNIT_TABLES, Partition

PICTURES = "thumbnails"


@dataclasses.dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted."""

    days: int
    """Camera-days."""
    objects: int
    bytes: int

    def message(self) -> str:
        """Returns it in words."""
        return f"{self.objects} objects ({self.bytes} bytes) of {self.days} camera-days were deleted"


def prune(store: Store, before: str, model: str | None = None, *, only_pictures: bool = False) -> Pruned:
    """Deletes the rows and the pictures of all days before a date, YYYY-MM-DD; `only_pictures` keeps the rows.

    `model` keeps to one model partition. What has no date and `runs` stay. Raises StoreError; ValueError for a date
    that is none and where there are no tables.
    """
    require_rows(store, model)
    recover(store)
    folders = (PICTURES,) if only_pictures else (*UNIT_TABLES, PICTURES)
    found = [days_before(store, folder, before, model) for folder in folders]
    days = sorted({day for each in found for day in each})
    bar = tqdm(total=len(days), unit="day", disable=not sys.stderr.isatty())
    with bar, ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for _ in pool.map(lambda day: _prune(store, day, only_pictures), days):
            bar.update()
    sizes = [item.size for each in found for items in each.values() for item in items]
    return Pruned(len(days), len(sizes), sum(sizes))


def _prune(store: Store, day: Partition, only_pictures: bool) -> None:
    if not only_pictures:
        replace(store, day, {})
    for item in list(objects(store, day.folder(PICTURES))):
        store.delete(item.path)
