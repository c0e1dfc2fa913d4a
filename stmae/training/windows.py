"""Training windows: five consecutive frames of a clip and the four flows between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest, Split, scene_index
from stmae.model.stmae import normalise_flow, shrink, to_signed
from stmae.scoring.raw import CLIP_FRAMES

WINDOW = CLIP_FRAMES + 1
Indices = npt.NDArray[np.int64]


class Windows:
    """All windows of a split, read from memory-mapped frames (and flows, where a cache is given)."""

    def __init__(self, config: Config, manifest: Manifest, split: Split, *, flow: FlowCache | None = None) -> None:
        self._model, stride = config.model, config.data.frame_stride
        clips = manifest.split(split)
        self._scenes = np.array([scene_index(config, manifest, clip) for clip in clips])
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

    def order(self, step: int, batch: int, seed: int) -> Indices:
        """Windows of a step's batch: a fresh permutation each epoch, a function of seed and step only."""
        epoch, position = divmod(step, self.steps_per_epoch(batch))
        permutation = np.random.default_rng((seed, epoch)).permutation(len(self))
        return permutation[position * batch : (position + 1) * batch]

    def scenes(self, windows: Indices, device: torch.device) -> Tensor:
        """[B] index of the scene of each window."""
        return torch.from_numpy(self._scenes[self._index[windows, 0]]).to(device)

    def of_scene(self, scene: int, most: int) -> Indices:
        """At most `most` windows of a scene, spread evenly over its footage."""
        return _spread(np.flatnonzero(self._scenes[self._index[:, 0]] == scene), most)

    def spread(self, most: int) -> Indices:
        """At most `most` windows, spread evenly over all footage."""
        return _spread(np.arange(len(self)), most)

    def frames(self, windows: Indices, device: torch.device) -> Tensor:
        """[B,5,3,S,S] in [-1, 1]."""
        stack = np.stack([self._frames[clip][start : start + WINDOW] for clip, start in self._index[windows]])
        frames = to_signed(torch.from_numpy(stack).to(device))
        small = shrink(frames.flatten(0, 1), self._model.flow_scale)
        return small.view(*frames.shape[:2], *small.shape[1:])

    def moved(self, windows: Indices, device: torch.device) -> tuple[Tensor, Tensor]:
        """The frame that is predicted as it is served [B,3,S,S], S the size of FRAMES, and the flow to it, [B,2,h,w]
        in pixels of it.
        """
        last = [(clip, start + CLIP_FRAMES) for clip, start in self._index[windows]]
        frames = np.stack([self._frames[clip][frame] for clip, frame in last])
        flows = np.stack([self._flows[clip][frame - 1] for clip, frame in last])
        return to_signed(torch.from_numpy(frames).to(device)), torch.from_numpy(flows).to(device).float()

    def flows(self, windows: Indices, device: torch.device) -> Tensor:
        """[B,4,2,h,w], normalised; the last one leads to the frame that is predicted."""
        stack = np.stack([self._flows[clip][start : start + WINDOW - 1] for clip, start in self._index[windows]])
        flows = torch.from_numpy(stack).to(device).float()
        normal = normalise_flow(flows.flatten(0, 1), self._model.size, self._model.flow_scale)
        return normal.view(*flows.shape[:2], *normal.shape[1:])


def _spread(windows: Indices, most: int) -> Indices:
    return windows[np.linspace(0, len(windows) - 1, min(most, len(windows))).astype(np.int64)]
