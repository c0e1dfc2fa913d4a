"""Where training windows are read from: memory-mapped files, or the memory of a GPU that has room for them.

Legend: B runs of consecutive rows, a row being a frame or a flow; n rows of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Arrays = Sequence[npt.NDArray[Any]]

ROOM = 0.5
"""Fraction of a GPU's free memory that footage may take; the rest is for the model and its activations."""


class Source(Protocol):
    """The rows of a split's clips, an array a clip."""

    index_device: torch.device
    """Where the arguments of `read` are wanted: elsewhere they would be waited for."""

    def read(self, clips_B: Tensor, firsts_B: Tensor, length: int) -> Tensor:
        """Returns the runs [B,n,...] of `length` rows, each from a row of a clip on, on the device."""
        ...


class Mapped:
    """Arrays in files; a read copies what it returns to the device."""

    def __init__(self, arrays: Arrays, device: torch.device) -> None:
        self._arrays, self._device = arrays, device
        self.index_device = torch.device("cpu")

    def read(self, clips_B: Tensor, firsts_B: Tensor, length: int) -> Tensor:
        """See `Source`."""
        runs = zip(clips_B.tolist(), firsts_B.tolist(), strict=True)
        stack = np.stack([self._arrays[clip][first : first + length] for clip, first in runs])
        return torch.from_numpy(stack).to(self._device)


class Resident:
    """Arrays on the device, as one tensor; a read never waits for the CPU."""

    def __init__(self, arrays: Arrays, device: torch.device) -> None:
        self.index_device = device
        ends = np.cumsum([len(array) for array in arrays])
        begins = ends - [len(array) for array in arrays]
        like = torch.from_numpy(np.empty(0, arrays[0].dtype))
        self._rows = torch.empty((int(ends[-1]), *arrays[0].shape[1:]), dtype=like.dtype, device=device)
        for array, begin, end in zip(arrays, begins, ends, strict=True):
            self._rows[begin:end] = torch.from_numpy(np.array(array))
        self._begins = torch.from_numpy(begins).to(device)

    def read(self, clips_B: Tensor, firsts_B: Tensor, length: int) -> Tensor:
        """See `Source`."""
        rows_B = self._begins[clips_B] + firsts_B
        return self._rows[rows_B.unsqueeze(1) + torch.arange(length, device=rows_B.device)]


def fits(arrays: Arrays, device: torch.device) -> bool:
    """Returns whether arrays take less than ROOM of the free memory of a GPU; False on a CPU, which maps files."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(array.nbytes for array in arrays) < ROOM * free
