"""What a run is to score: the video objects of an archive, and which of them are done already.

`stmae.archive.layouts` says what an object's path means.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.layouts import AUTO, Layout, Place, parse_day
from stmae.archive.objects import kind_of
from stmae.storage.base import Listed, ObjectMissingError, Store, StoreError
from stmae.video.reader import VIDEO_SUFFIXES


class PlanError(ValueError):
    """There is nothing to score, or a filter makes no sense; the message says which and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An object of the archive that gets rows."""

    uri: str
    path: str
    """Below the archive's root."""
    place: Place
    """Its camera, its day, and when it was recorded."""
    etag: str
    """Empty where the object could not be read."""
    size: int
    """Bytes."""
    skipped: str | None = None
    """Why it is not scored, e.g. because it is no video; None for videos."""

    def lasting(self, seconds: float) -> Source:
        """Returns the source with its start, where its path states the end alone and it is so long."""
        if self.place.start is not None or self.place.end is None:
            return self
        start = self.place.end - timedelta(seconds=seconds)
        return dataclasses.replace(self, place=dataclasses.replace(self.place, start=start))

    @property
    def key(self) -> str:
        """Returns the name of its objects in the tables."""
        return tables.source_key(self.uri)

    def partition(self, model: str) -> tables.Partition:
        """Returns where its rows lie for a model partition."""
        return tables.Partition(model, self.place.camera, self.place.date)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The sources of a run, sorted by path."""

    archive: str
    sources: tuple[Source, ...]
    left_out: Mapping[str, int]
    """Objects that get no rows, by kind: what recorders write beside videos, and trash."""
    unlisted: tuple[str, ...]
    """What could not be looked into, with the reason."""

    @property
    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the sources and the ETags of their bytes."""
        lines = "".join(f"{source.uri}\t{source.etag}\n" for source in self.sources)
        return hashlib.sha256(f"{self.archive}\n{lines}".encode()).hexdigest()


def make_plan(
    archive: Store, date: str | None = None, include: str | None = None, layout: str = AUTO, zone: str = "UTC"
) -> Plan:
    """Lists an archive. `date` keeps one day (UTC); `include` is comma-separated globs on file name or path.

    `layout` and `zone` say what paths mean (`stmae.archive.layouts`). Every object with a video's extension is a
    source, also when its content is none: the tables then say so. So is one of unknown kind, which is not scored.
    Raises PlanError for a date that is none and where nothing matches, LayoutError, StoreError where listing fails.
    """
    if date is not None and parse_day(date) is None:
        raise PlanError(f"date {date!r}: must be a day of the calendar, YYYY-MM-DD")
    globs = [part.strip() for part in (include or "").split(",") if part.strip()]
    reads = Layout(layout, zone, unquote(PurePosixPath(archive.root).name) or "archive")
    sources, videos, left_out, unlisted = [], 0, Counter[str](), []
    for item in archive.list():
        if item.trouble is not None:
            unlisted.append(f"{archive.uri(item.path)}: {item.trouble}")
            continue
        kind = kind_of(item.path)
        if kind in ("trash", "companion"):
            left_out[kind] += 1
            continue
        videos += kind == "video"
        place = reads.place(item.path)
        if (date is not None and place.date != date) or not _included(item.path, globs):
            continue
        etag = _etag(archive, item)
        if etag is not None:
            skipped = (
                None if kind == "video" else f"not scored: {PurePosixPath(item.path).name} has no video's extension"
            )
            sources.append(Source(archive.uri(item.path), item.path, place, etag, item.size, skipped))
    if not any(source.skipped is None for source in sources) and not unlisted:
        raise PlanError(_nothing(archive.root, videos, date, include))
    return Plan(archive.root, tuple(sources), dict(left_out), tuple(unlisted))


def _etag(archive: Store, item: Listed) -> str | None:
    """Returns the ETag, empty where the object cannot be read, None where it is gone since the listing."""
    if item.etag is not None:
        return item.etag
    try:
        return archive.etag(item.path)
    except ObjectMissingError:
        return None
    except StoreError:  # the worker meets it again, and says so
        return ""


def statuses_of_done(store: Store, model: str, sources: Iterable[Source]) -> dict[Source, str]:
    """Sources whose coverage row tells of these very bytes, with its status; `missing` is not done."""
    sources = tuple(sources)
    folders = {source.partition(model).folder("coverage") for source in sources}
    present = {item.path for folder in sorted(folders) for item in store.list(folder)}
    done = {}
    for source in sources:
        path = tables.object_path("coverage", source.partition(model), source.key)
        if path not in present:
            continue
        row = pq.read_table(io.BytesIO(store.get(path)), columns=["etag", "status"]).to_pylist()[0]
        if row["etag"] == source.etag and row["status"] != "missing":
            done[source] = str(row["status"])
    return done


def _included(path: str, globs: list[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return not globs or any(fnmatchcase(name, glob) or fnmatchcase(path, glob) for glob in globs)


def _nothing(root: str, videos: int, date: str | None, include: str | None) -> str:
    if not videos:
        return f"{root}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); check the archive's URI"
    wanted = " and ".join(
        text for text in (f"date {date}" if date else "", f"include {include!r}" if include else "") if text
    )
    return f"{root}: none of its {videos} videos matches {wanted}; check the filter"
