"""Arrays as .npy files, streamed one item at a time: no clip is held in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from stmae.storage.atomic import atomic_path


def write_npy(path: Path, arrays: Iterable[npt.NDArray[np.generic]], *, shared: bool = False) -> int:
    """Stacks arrays of equal shape and type into a .npy file, atomically; returns their number.

    No arrays write no file. `shared` is that of `atomic_path`.
    """
    iterator = iter(arrays)
    first = next(iterator, None)
    if first is None:
        return 0
    count = 1
    with atomic_path(path, shared=shared) as aside, aside.open("wb") as file:
        start = _write_header(file, first.dtype, (0, *first.shape))
        file.write(first.tobytes())
        for array in iterator:
            assert (array.shape, array.dtype) == (first.shape, first.dtype)
            file.write(array.tobytes())
            count += 1
        file.seek(0)
        # numpy pads the header so that the first dimension can grow in place.
        assert _write_header(file, first.dtype, (count, *first.shape)) == start
    return count


def _write_header(file: BinaryIO, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    """Writes the header of a .npy file; returns the position after it."""
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return file.tell()
