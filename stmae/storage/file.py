"""Objects as files below a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from stmae.storage.atomic import write_atomically
from stmae.storage.base import CHUNK_BYTES, Listed, ObjectMissingError, StoreError, explain


class FileStore:
    """A folder as a store. The ETag of an object is made of its time and size, as web servers make it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.root = self.folder.as_uri().rstrip("/")

    def uri(self, path: str) -> str:
        return f"{self.root}/{quote_from_bytes(os.fsencode(path))}".rstrip("/")

    def path(self, uri: str) -> str:
        return os.fsdecode(unquote_to_bytes(uri.removeprefix(f"{self.root}/")))

    def list(self, prefix: str = "") -> Iterator[Listed]:
        top = self.folder / prefix
        if not prefix and not top.is_dir():
            raise StoreError(f"{self.root}: no such folder; correct the path or create it")
        found: list[tuple[str, Path, OSError | None]] = []

        def trouble(error: OSError) -> None:
            folder = Path(error.filename)
            if not isinstance(error, FileNotFoundError):
                found.append((f"{folder.relative_to(self.folder).as_posix()}/", folder, error))

        for folder, _, names in os.walk(top, onerror=trouble):
            here = Path(folder)
            found += [((here / name).relative_to(self.folder).as_posix(), here / name, None) for name in names]
        for path, file, error in sorted(found, key=lambda each: each[0]):
            if error is not None:
                yield Listed(path, 0, "", explain(error))
                continue
            try:
                about = file.stat()
                if stat.S_ISREG(about.st_mode):
                    yield Listed(path, about.st_size, _etag(about))
            except FileNotFoundError:
                pass  # deleted since: as if it had never been listed
            except OSError as refused:  # a folder that may be listed, and not entered
                yield Listed(path, 0, "", explain(refused))

    def download(self, path: str, target: Path) -> str:
        with self._errors(path), (self.folder / path).open("rb") as source, target.open("wb") as copy:
            etag = _etag(os.fstat(source.fileno()))  # a file that grows meanwhile has another one afterwards
            shutil.copyfileobj(source, copy, CHUNK_BYTES)
        return etag

    def get(self, path: str) -> bytes:
        with self._errors(path):
            return (self.folder / path).read_bytes()

    def put(self, path: str, data: bytes) -> None:
        with self._errors(path):
            write_atomically(self.folder / path, data, shared=True)

    def delete(self, path: str) -> None:
        with self._errors(path):
            (self.folder / path).unlink(missing_ok=True)

    def prepare(self) -> None:
        with self._errors(""):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):  # read-only mounts too
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """Turns errors of the file system into StoreError."""
        uri = self.uri(path)
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError as error:
            raise ObjectMissingError(f"{uri}: no such file; it was moved or deleted") from error
        except OSError as error:
            raise StoreError(f"{uri}: {explain(error)}") from error


def _etag(about: os.stat_result) -> str:
    return f"{about.st_mtime_ns:x}-{about.st_size:x}"
