"""The one atomic write of the project: a reader sees the old file or the new one, never a part of a file."""

from __future__ import annotations

import contextlib
import fcntl
import glob
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
    writes to a hidden file of its own, and removes those that killed ones left behind.

    Raises OSError where the folder of `path`, which is made if needed, cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _own_aside(path) if shared else contextlib.nullcontext(path.with_name(f".writing-{path.name}")) as aside:
        try:
            yield aside
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _own_aside(path: Path) -> Iterator[Path]:
    """Yields a hidden file that no other writer of `path` has. It is locked while its writer lives; others are removed.

    Where the file system has no locks, none is removed.
    """
    for left in path.parent.glob(f".writing-*-{glob.escape(path.name)}"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    while True:
        aside = path.with_name(f".writing-{secrets.token_hex(4)}-{path.name}")
        with aside.open("wb") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            if aside.exists():  # else another writer removed it before it was locked
                yield aside
                return


def write_atomically(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Writes a whole file at once, by `atomic_path`."""
    with atomic_path(path, shared=shared) as aside:
        aside.write_bytes(content)
