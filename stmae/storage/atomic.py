"""The one atomic write of the project: a reader sees the old file or the new one, never a part of a file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yields a path to write to; what was written there replaces `path` when the block ends without an error.

    The yielded path is a hidden file beside `path` with the same suffix. It is flushed to disk before the rename and
    removed when the block raises. A process that is killed leaves it behind, and the next write of the same file
    overwrites it. `shared=True` is for a file that several processes may write at the same time: each of them then
    writes to a hidden file of its own.

    Raises OSError where the folder of `path`, which is made if needed, cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{secrets.token_hex(4)}-" if shared else ""
    aside = path.with_name(f".writing-{writer}{path.name}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Writes a whole file at once, by `atomic_path`."""
    with atomic_path(path, shared=shared) as aside:
        aside.write_bytes(content)
