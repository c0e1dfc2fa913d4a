"""What a run is to score: the camera-hours of an archive, and which of them are done already."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.layouts import AUTO, parse_day
from stmae.archive.sources import Listing, Source, list_sources
from stmae.archive.timeline import Unit, inputs_digest, units_of
from stmae.storage.base import Store

READERS = 16
"""Coverage objects that are read at a time."""


class PlanError(ValueError):
    """There is nothing to score, or a filter makes no sense; the message says which and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The units of a run, sorted by camera and time."""

    archive: str
    listing: Listing
    units: tuple[Unit, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """Returns the sources that get rows."""
        return tuple(source for unit in self.units for source in unit.own)

    @property
    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the sources and the ETags of their bytes."""
        lines = "".join(f"{source.uri}\t{source.etag}\n" for source in self.sources)
        return hashlib.sha256(f"{self.archive}\n{lines}".encode()).hexdigest()


def make_plan(
    archive: Store, date: str | None = None, include: str | None = None, layout: str = AUTO, zone: str = "UTC"
) -> Plan:
    """Lists an archive. `date` keeps one day (UTC); `include` is comma-separated globs on file name or path.

    Units are those of the whole archive: what a filter leaves out of the run still warms up what it keeps. Raises
    PlanError for a date that is none and where nothing matches, LayoutError, StoreError where listing fails.
    """
    if date is not None and parse_day(date) is None:
        raise PlanError(f"date {date!r}: must be a day of the calendar, YYYY-MM-DD")
    globs = [part.strip() for part in (include or "").split(",") if part.strip()]
    listing = list_sources(archive, layout, zone)
    units = tuple(
        unit
        for unit in units_of(listing.sources)
        if (date is None or unit.date == date)
        and (not globs or any(_included(archive.path(source.uri), globs) for source in unit.own))
    )
    if not any(source.skipped is None for unit in units for source in unit.own) and not listing.unlisted:
        raise PlanError(_nothing(archive.root, listing, date, include))
    return Plan(archive.root, listing, units)


def statuses_of_done(store: Store, model: str, units: Iterable[Unit]) -> dict[Unit, Counter[str]]:
    """Returns the units whose coverage rows tell of these very bytes, with the statuses of their sources.

    A unit with a `missing` source is not done.
    """
    units = tuple(units)
    folders = {unit.partition(model).folder("coverage") for unit in units}
    with ThreadPoolExecutor(READERS) as pool:
        present = {path for paths in pool.map(lambda folder: _paths(store, folder), sorted(folders)) for path in paths}
        waiting = [unit for unit in units if tables.object_path("coverage", unit.partition(model), unit.key) in present]
        found = pool.map(lambda unit: _statuses(store, model, unit), waiting)
        return {unit: statuses for unit, statuses in zip(waiting, found, strict=True) if statuses is not None}


def _paths(store: Store, folder: str) -> list[str]:
    return [item.path for item in store.list(folder)]


def _statuses(store: Store, model: str, unit: Unit) -> Counter[str] | None:
    path = tables.object_path("coverage", unit.partition(model), unit.key)
    rows = pq.read_table(io.BytesIO(store.get(path)), columns=["inputs", "source", "status"]).to_pylist()
    same = {row["inputs"] for row in rows} == {inputs_digest(unit.stream)}
    if not same or any(row["status"] == "missing" for row in rows):
        return None
    return Counter(row["status"] for row in rows if row["source"] is not None)


def _included(path: str, globs: list[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return any(fnmatchcase(name, glob) or fnmatchcase(path, glob) for glob in globs)


def _nothing(root: str, listing: Listing, date: str | None, include: str | None) -> str:
    videos = sum(source.skipped is None for source in listing.sources)
    if not videos:
        return f"{root}: holds no video; check the archive's URI (`stmae archive inspect` says what is there)"
    wanted = " and ".join(
        text for text in (f"date {date}" if date else "", f"include {include!r}" if include else "") if text
    )
    return f"{root}: none of its {videos} videos matches {wanted}; check the filter"
