"""What a run is to score: the camera-hours of an archive."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypedDict, Unpack

from stmae.archive.layouts import AUTO, parse_day
from stmae.archive.sources import Listing, Source, list_sources
from stmae.archive.timeline import Unit, units_of
from stmae.storage.base import Store


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


class Options(TypedDict, total=False):
    """What may be said of an archive beside where it is."""

    date: str | None
    """Only this day, YYYY-MM-DD (UTC)."""
    since: str | None
    """Only this day and later ones, and what has no date."""
    include: str | None
    """Only camera-hours with a file whose name or path matches one of these comma-separated globs."""
    layout: str
    zone: str
    """Time zone of wall times in names."""


def make_plan(archive: Store, **options: Unpack[Options]) -> Plan:
    """Lists an archive.

    Units are those of the whole archive: what a filter leaves out of the run still warms up what it keeps. Raises
    PlanError for a date that is none and where nothing matches, LayoutError, StoreError where listing fails.
    """
    date, since, include = options.get("date"), options.get("since"), options.get("include")
    for name, day in (("date", date), ("since", since)):
        if day is not None and parse_day(day) is None:
            raise PlanError(f"{name} {day!r}: must be a day of the calendar, YYYY-MM-DD")
    globs = [part.strip() for part in (include or "").split(",") if part.strip()]
    listing = list_sources(archive, options.get("layout", AUTO), options.get("zone", "UTC"))
    units = tuple(
        unit
        for unit in units_of(listing.sources)
        if (date is None or unit.date == date)
        and (since is None or unit.date >= since)  # UNDATED comes after every day
        and (not globs or any(_included(archive.path(source.uri), globs) for source in unit.own))
    )
    if not any(source.skipped is None for unit in units for source in unit.own) and not listing.unlisted:
        raise PlanError(_nothing(archive.root, listing, {"date": date, "since": since, "include": include}))
    return Plan(archive.root, listing, units)


def _included(path: str, globs: list[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return any(fnmatchcase(name, glob) or fnmatchcase(path, glob) for glob in globs)


def _nothing(root: str, listing: Listing, filters: Mapping[str, str | None]) -> str:
    videos = sum(source.skipped is None for source in listing.sources)
    if not videos:
        return f"{root}: holds no video; check the archive's URI (`stmae archive inspect` says what is there)"
    wanted = " and ".join(f"{name} {text}" for name, text in filters.items() if text)
    return f"{root}: none of its {videos} videos matches {wanted}; check the filter"
