"""What a run is to score: the video objects of an archive, and which of them are done already.

`stmae.archive.layouts` says what an object's path means.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.layouts import is_video, parse, parse_day
from stmae.storage.base import ObjectMissingError, Store
from stmae.video.reader import VIDEO_SUFFIXES


class PlanError(ValueError):
    """There is nothing to score, or a filter makes no sense; the message says which and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A video object of the archive."""

    uri: str
    path: str
    """Below the archive's root."""
    camera: str
    date: str
    """YYYY-MM-DD, or tables.UNDATED."""
    start_time: datetime | None
    """UTC; None where the path tells none."""
    etag: str
    size: int
    """Bytes."""

    @property
    def key(self) -> str:
        """Returns the name of its objects in the tables."""
        return tables.source_key(self.uri)

    def partition(self, model: str) -> tables.Partition:
        """Returns where its rows lie for a model partition."""
        return tables.Partition(model, self.camera, self.date)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The sources of a run, sorted by path."""

    archive: str
    sources: tuple[Source, ...]

    @property
    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the sources and the ETags of their bytes."""
        lines = "".join(f"{source.uri}\t{source.etag}\n" for source in self.sources)
        return hashlib.sha256(f"{self.archive}\n{lines}".encode()).hexdigest()


def make_plan(archive: Store, date: str | None = None, include: str | None = None) -> Plan:
    """Lists an archive. `date` keeps one day; `include` is comma-separated globs on file name or path.

    Every object with a video's extension is a source, also when its content is none: the tables then say so.
    Raises PlanError for a date that is none and where nothing matches, StoreError where listing fails.
    """
    if date is not None and parse_day(date) is None:
        raise PlanError(f"date {date!r}: must be a day of the calendar, YYYY-MM-DD")
    globs = [part.strip() for part in (include or "").split(",") if part.strip()]
    folder = unquote(PurePosixPath(archive.root).name) or "archive"
    sources, videos = [], 0
    for item in archive.list():
        if not is_video(item.path):
            continue
        videos += 1
        camera, day, start_time = parse(item.path, folder)
        if (date is not None and day != date) or not _included(item.path, globs):
            continue
        etag = item.etag
        if etag is None:
            try:
                etag = archive.etag(item.path)
            except ObjectMissingError:
                continue  # gone since the listing: as if it had never been there
        sources.append(Source(archive.uri(item.path), item.path, camera, day, start_time, etag, item.size))
    if not sources:
        raise PlanError(_nothing(archive.root, videos, date, include))
    return Plan(archive.root, tuple(sources))


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
