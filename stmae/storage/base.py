"""What a store does, and what its errors say."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 1 << 20
"""Downloads are copied in pieces of this size."""
REQUESTS_AT_ONCE = 16
"""So many objects are read or deleted side by side, where there are many."""


class StoreError(OSError):
    """An object or its store cannot be used; the message names the URI, what happened and the mend."""


class ObjectMissingError(StoreError):
    """The store can be used, but it holds no object of that path."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing describes it."""

    path: str
    size: int
    """Bytes."""
    etag: str
    """Changes with the object's bytes."""
    trouble: str | None = None
    """Why what is below this path could not be listed; None for an object."""


class Store(Protocol):
    """The storage that the batch job needs. Every method raises StoreError."""

    root: str
    """The URI, without a slash at its end."""

    def uri(self, path: str) -> str:
        """Returns the URI of an object."""

    def path(self, uri: str) -> str:
        """Returns the path of an object of this store by its URI."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yields the objects whose path starts with `prefix` (a folder, ending in `/`, or empty), sorted by path.

        A part that cannot be looked into, e.g. a folder that is not permitted, is one entry with its `trouble`.
        """

    def download(self, path: str, target: Path) -> str:
        """Copies the object to a local file; returns the ETag of the very bytes that were copied."""

    def get(self, path: str) -> bytes:
        """Returns the object's bytes."""

    def put(self, path: str, data: bytes) -> None:
        """Writes the whole object; on any failure the object is what it was before."""

    def delete(self, path: str) -> None:
        """Removes the object, if it is there."""

    def prepare(self) -> None:
        """Makes the root where it is missing; raises StoreError where nothing could be put."""


def explain(error: OSError) -> str:
    """Says what happened to a local file, and what mends it."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            where = f" ({error.filename})" if error.filename else ""
            return f"no space left on the device{where}; free some or choose another folder, then run again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"not permitted ({error.strerror}); give this user access or choose another folder"
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            return f"a file is where a folder must be, or the reverse ({error.strerror}); move it away"
    return f"{error.strerror or error}; check the file system, then run again"
