"""Sources: the objects of an archive that get rows, and what is left out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from stmae import tables
from stmae.archive.layouts import Layout, Place
from stmae.archive.objects import kind_of
from stmae.storage.base import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An object of the archive that gets rows."""

    uri: str
    place: Place
    """Its camera, its day, and when it was recorded."""
    etag: str
    """Changes with its bytes."""
    size: int
    """Bytes."""
    skipped: str | None = None
    """Why it is not scored, e.g. because it is no video; None for videos."""

    def start(self, seconds: float) -> datetime | None:
        """Returns when a video of this length began: where its path states the end alone, so long before."""
        if self.place.start is not None or self.place.end is None:
            return self.place.start
        return self.place.end - timedelta(seconds=seconds)

    @property
    def key(self) -> str:
        """Returns a name made of its URI."""
        return tables.source_key(self.uri)


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What an archive holds."""

    sources: tuple[Source, ...]
    """Sorted by path."""
    left_out: Mapping[str, int]
    """Objects that get no rows, by kind: what recorders write beside videos, and trash."""
    unlisted: tuple[str, ...]
    """What could not be looked into, with the reason."""


def list_sources(archive: Store, layout: str, zone: str) -> Listing:
    """Lists an archive; `layout` and `zone` say what paths mean (`stmae.archive.layouts`).

    Every object with a video's extension is a source, also when its content is none: the tables then say so. So is one
    of unknown kind, which is not scored. Raises LayoutError, StoreError where listing fails.
    """
    reads = Layout.of(archive, layout, zone)
    sources, left_out, unlisted = [], Counter[str](), []
    for item in archive.list():
        if item.trouble is not None:
            unlisted.append(f"{archive.uri(item.path)}: {item.trouble}")
            continue
        kind = kind_of(item.path)
        if kind in ("trash", "companion"):
            left_out[kind] += 1
            continue
        name = tables.utf8(item.path.rpartition("/")[2])
        skipped = None if kind == "video" else f"not scored: {name} has no video's extension"
        place = reads.place(item.path)
        sources.append(Source(archive.uri(item.path), place, item.etag, item.size, skipped))
    return Listing(tuple(sources), dict(left_out), tuple(unlisted))
