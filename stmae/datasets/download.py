"""Footage in a bucket: copied to a folder before a dataset is read, and known by its listing before that."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from stmae.datasets.manifest import DatasetError
from stmae.storage import FileStore, Store, open_store
from stmae.storage.base import REQUESTS_AT_ONCE, Listed


@contextlib.contextmanager
def local_copy(data_root: str) -> Iterator[Path]:
    """Yields the folder with the footage of a path, file:// or s3:// URI.

    What is in a bucket is copied to a temporary folder, which is removed afterwards. Raises StoreError, and
    DatasetError for a prefix without objects and for names that no file can have.
    """
    store = open_store(data_root)
    if isinstance(store, FileStore):
        yield store.folder
        return
    with tempfile.TemporaryDirectory(prefix="stmae-footage-") as temporary:
        folder = Path(temporary)
        _download(store, folder)
        yield folder


def listing_digest(data_root: str) -> str:
    """Returns the SHA-256 (hex) over names, sizes and ETags below a path or URI; "" where there is nothing.

    No byte of the footage is read. The ETag of a file is made of its time and size. Raises StoreError.
    """
    store = open_store(data_root)
    if isinstance(store, FileStore) and not store.folder.is_dir():
        return ""
    digest = hashlib.sha256()
    empty = True
    for item in _objects(store):
        digest.update(f"{item.path}\0{item.size}\0{item.etag}\n".encode(errors="surrogateescape"))
        empty = False
    return "" if empty else digest.hexdigest()


def _download(store: Store, folder: Path) -> None:
    items = list(_objects(store))
    if not items:
        raise DatasetError(f"DATA_ROOT={store.root}: no object below it; correct the bucket or the prefix")
    files = {path: _below(folder, path, store) for path in (item.path for item in items)}
    for parent in {file.parent for file in files.values()}:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise DatasetError(
                f"{store.uri(parent.relative_to(folder).as_posix())}: is an object, and other objects are below it; "
                "rename it"
            ) from None
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        copies = [pool.submit(store.download, path, file) for path, file in files.items()]
        try:
            for copy in copies:
                copy.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _objects(store: Store) -> Iterator[Listed]:
    for item in store.list():
        if item.trouble:
            raise DatasetError(f"{store.uri(item.path)}: {item.trouble}")
        yield item


def _below(folder: Path, path: str, store: Store) -> Path:
    """Returns the file for an object; raises DatasetError for a name that leads out of the folder."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or not parts:
        raise DatasetError(f"{store.uri(path)}: its name is no path of a file below the prefix; rename it")
    return folder.joinpath(*parts)
