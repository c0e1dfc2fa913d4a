"""Where objects live: a folder (`file:///...` or a plain path) or a bucket (`s3://bucket/prefix`).

A store is rooted at a URI; its objects have `/`-separated paths below that root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 20


class StoreError(OSError):
    """An object or its store cannot be used; the message names the URI, what happened and the mend."""


class ObjectMissingError(StoreError):
    """There is no object of that name, in a store that is otherwise there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells of it."""

    path: str
    size: int
    etag: str | None
    """None where only reading the object can tell (files)."""


class Store(Protocol):
    """What the batch job asks of storage. Every method raises StoreError."""

    root: str
    """The URI, without a slash at its end."""

    def uri(self, path: str) -> str:
        """The object's own URI."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Objects whose path starts with `prefix` (a folder, ending in `/`, or empty), sorted by path."""

    def etag(self, path: str) -> str:
        """Digest that changes with the object's bytes."""

    def download(self, path: str, target: Path) -> str:
        """Copy the object to a local file; return the ETag of the very bytes that were copied."""

    def get(self, path: str) -> bytes:
        """The object's bytes."""

    def put(self, path: str, data: bytes) -> None:
        """Write the whole object or, on any failure, leave what was there."""

    def prepare(self) -> None:
        """Make the root where it is missing; fail early where nothing could be put."""


def open_store(uri: str) -> Store:
    """Raises StoreError for a scheme that is not supported."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return FileStore(Path(uri))
    if scheme == "file":
        split = urlsplit(uri)
        if split.netloc not in ("", "localhost"):
            raise StoreError(f"{uri}: a file URI has three slashes: file:///folder (or pass a plain path)")
        return FileStore(Path(unquote(split.path)))
    if scheme == "s3":
        try:
            from stmae.storage.s3 import S3Store
        except ImportError as error:
            raise StoreError(f"{uri}: S3 needs {error.name}; pip install 'stmae[batch]'") from error
        return S3Store(uri)
    raise StoreError(f"{uri}: scheme {scheme!r} is not supported; use a path, file:///... or s3://bucket/prefix")


class FileStore:
    """Objects are files below a folder. An ETag is the SHA-256 of the bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.root = self.folder.as_uri().rstrip("/")

    def uri(self, path: str) -> str:
        return (self.folder / path).as_uri()

    def list(self, prefix: str = "") -> Iterator[Listed]:
        top = self.folder / prefix
        if not prefix and not top.is_dir():
            raise StoreError(f"{self.root}: no such folder; correct the path or create it")
        with self._errors(prefix):
            files = sorted(
                (path.relative_to(self.folder).as_posix(), path) for path in top.rglob("*") if path.is_file()
            )
        for path, file in files:
            with contextlib.suppress(FileNotFoundError):  # gone since: as if it had never been listed
                yield Listed(path, file.stat().st_size, None)

    def etag(self, path: str) -> str:
        with self._errors(path), (self.folder / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def download(self, path: str, target: Path) -> str:
        digest = hashlib.sha256()
        with self._errors(path), (self.folder / path).open("rb") as source, target.open("wb") as copy:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                copy.write(chunk)
        return digest.hexdigest()

    def get(self, path: str) -> bytes:
        with self._errors(path):
            return (self.folder / path).read_bytes()

    def put(self, path: str, data: bytes) -> None:
        """Written aside, flushed to disk, then renamed: a reader sees the old bytes or the new ones."""
        target = self.folder / path
        # The name is the target's own, so what a killed run leaves behind is taken up by the next one.
        # Readers of Parquet datasets skip names that start with a dot.
        aside = target.with_name(f".{target.name}.tmp")
        with self._errors(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    aside.unlink(missing_ok=True)
                raise

    def prepare(self) -> None:
        with self._errors(""):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):  # read-only mounts too
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        uri = self.uri(path)
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError as error:
            raise ObjectMissingError(f"{uri}: no such file; it was moved or deleted") from error
        except OSError as error:
            raise StoreError(f"{uri}: {file_trouble(error)}") from error


def file_trouble(error: OSError) -> str:
    """What happened to a local file, and the mend."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            where = f" ({error.filename})" if error.filename else ""
            return f"no space left on the device{where}; free some or choose another folder, then run again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"not permitted ({error.strerror}); give this user write access or choose another folder"
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            return f"a file and a folder are in each other's way ({error.strerror}); move the one not wanted"
    return f"{error.strerror or error}; see to the file system, then run again"
