"""Training windows: five consecutive frames of a clip and the four flows between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stmae.data.manifest import Manifest, Split
from stmae.model.stmae import to_signed
from stmae.score import CLIP_FRAMES
from stmae.train.extract import FlowCache

WINDOW = CLIP_FRAMES + 1


class Windows:
    """All windows of a split, read from memory-mapped frames (and flows, where a cache is given)."""

    def __init__(self, manifest: Manifest, split: Split, *, flow: FlowCache | None = None, stride: int = 1) -> None:
        clips = manifest.split(split)
        self._frames = [manifest.frames(clip) for clip in clips]
        self._flows = [flow.flows(clip) for clip in clips] if flow else []
        self._index = np.array(
            [
                (clip, start)
                for clip, frames in enumerate(self._frames)
                for start in range(0, len(frames) - WINDOW + 1, stride)
            ]
        ).reshape(-1, 2)
        if not len(self._index):
            raise ValueError(f"{manifest.root}: split {split!r} has no window of {WINDOW} frames; add longer clips")

    def __len__(self) -> int:
        return len(self._index)

    def steps_per_epoch(self, batch: int) -> int:
        """Batches of full size in one pass (one smaller batch where there are too few windows)."""
        return max(len(self) // batch, 1)

    def order(self, step: int, batch: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Windows of a step's batch: a fresh permutation each epoch, a function of seed and step only."""
        epoch, position = divmod(step, self.steps_per_epoch(batch))
        permutation = np.random.default_rng((seed, epoch)).permutation(len(self))
        return permutation[position * batch : (position + 1) * batch]

    def frames(self, windows: np.ndarray[tuple[int], np.dtype[np.int64]], device: torch.device) -> Tensor:
        """[B,5,3,S,S] in [-1, 1]."""
        stack = np.stack([self._frames[clip][start : start + WINDOW] for clip, start in self._index[windows]])
        return to_signed(torch.from_numpy(stack).to(device))

    def flows(self, windows: np.ndarray[tuple[int], np.dtype[np.int64]], device: torch.device) -> Tensor:
        """[B,4,2,h,w] in pixels of the frames; the last one leads to the frame that is predicted."""
        stack = np.stack([self._flows[clip][start : start + WINDOW - 1] for clip, start in self._index[windows]])
        return torch.from_numpy(stack).to(device).float()
