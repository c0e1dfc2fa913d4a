"""Files of a prepared dataset: written aside and renamed; arrays are streamed, no clip is held in memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from stmae.video.reader import image_files


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never a part."""
    with _aside(path) as file:
        file.write(content)


def write_npy(path: Path, arrays: Iterable[npt.NDArray[np.generic]]) -> int:
    """Stack arrays of equal shape and type into a .npy file, one at a time; returns their number (0 writes no file)."""
    iterator = iter(arrays)
    first = next(iterator, None)
    if first is None:
        return 0
    count = 1
    with _aside(path) as file:
        start = _header(file, first.dtype, (0, *first.shape))
        file.write(first.tobytes())
        for array in iterator:
            assert (array.shape, array.dtype) == (first.shape, first.dtype)
            file.write(array.tobytes())
            count += 1
        file.seek(0)
        # numpy pads a header for the first dimension to grow in place.
        assert _header(file, first.dtype, (count, *first.shape)) == start
    return count


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name; between file systems, a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def sha256(paths: Iterable[Path]) -> str:
    """Of the bytes of files, and of the names and bytes of the images in folders, in order."""
    digest = hashlib.sha256()
    for path in paths:
        for file in image_files(path) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(os.fsencode(file.name) + f"\0{file.stat().st_size}\0".encode())
            with file.open("rb") as handle:
                while block := handle.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _header(file: BinaryIO, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return file.tell()


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
