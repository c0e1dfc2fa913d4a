"""Where objects are kept: a folder (`file:///...` or a plain path) or a bucket (`s3://bucket/prefix`).

A store is rooted at a URI; its objects have `/`-separated paths below that root.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from stmae.storage.base import Listed, ObjectMissingError, Store, StoreError
from stmae.storage.file import FileStore

__all__ = ["FileStore", "Listed", "ObjectMissingError", "Store", "StoreError", "open_store"]


def open_store(uri: str) -> Store:
    """Returns the store at a URI or plain path. Raises StoreError where the URI has an unsupported scheme or form."""
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
