"""Local copies of sources: the next one is downloaded while one is scored, and each is kept while it is needed."""

from __future__ import annotations

import contextvars
import dataclasses
import errno
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from stmae.archive.sources import Source
from stmae.batch import traces
from stmae.storage import ObjectMissingError, Store, StoreError
from stmae.video.limits import Limits


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """A source's local copy, or why there is none."""

    source: Source
    """With the ETag and the size of the very bytes that were copied; without an ETag where none were, so that what
    depends on them is scored again."""
    path: Path | None
    trouble: str | None = None
    """None without a path: the source is no video, or has vanished."""


class Copies:
    """Downloads sources of an archive into `folder`."""

    def __init__(self, archive: Store, folder: Path) -> None:
        self._archive, self._folder = archive, folder
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._held: dict[Source, Future[Copy]] = {}
        self.bytes_read = 0
        """Bytes that all downloads so far have read."""

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(cancel_futures=True)

    def request(self, source: Source) -> None:
        """Starts a download, unless it is there or under way."""
        if source not in self._held:
            # In the span that asks for it.
            self._held[source] = self._pool.submit(contextvars.copy_context().run, self._fetch, source)

    def get(self, source: Source) -> Copy:
        """Returns the copy of a source. Raises nothing: the answer tells of any trouble."""
        self.request(source)
        return self._held[source].result()

    def keep(self, sources: Iterable[Source]) -> None:
        """Deletes all copies but those of `sources`."""
        kept = set(sources)
        for source in [each for each in self._held if each not in kept]:
            copy = self._held.pop(source).result()
            if copy.path is not None:
                copy.path.unlink(missing_ok=True)

    def _fetch(self, source: Source) -> Copy:
        if source.skipped:
            return Copy(source, None)
        if source.size > Limits().bytes:
            told = f"not scored: the file has {source.size} bytes, more than is decoded"
            return Copy(dataclasses.replace(source, skipped=told), None)
        target = self._folder / f"{source.key}{PurePosixPath(source.uri).suffix.lower()}"
        try:
            with traces.span("stmae.download", source=source.uri, bytes=source.size):
                etag = self._archive.download(self._archive.path(source.uri), target)
            size = target.stat().st_size
            self.bytes_read += size
            return Copy(dataclasses.replace(source, etag=etag, size=size), target)
        except ObjectMissingError:
            return Copy(dataclasses.replace(source, etag=""), None)
        except StoreError as error:
            target.unlink(missing_ok=True)
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC
            hint = f" (local copies go to {self._folder}; TMPDIR names another folder)" if full else ""
            return Copy(dataclasses.replace(source, etag=""), None, f"{error}{hint}")
