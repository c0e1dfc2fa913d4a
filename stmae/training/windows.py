"""Training windows: five consecutive frames of a clip and the four flows between them.

Legend: B windows, S side of FRAMES, s side of what the auto-encoders see, h = w = s/2 normalised flow samples a side.
"""

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
    """All windows of a split, read from memory-mapped frames (and flows, if a cache is given)."""

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

    def steps_per_pass(self, batch: int) -> int:
        """Returns the number of full batches in one pass, or 1 (smaller) batch if there are too few windows for one."""
        return max(len(self) // batch, 1)

    def order(self, step: int, batch: int, seed: int) -> Indices:
        """Returns the windows of a step's batch: a permutation a pass, drawn from the seed and the pass only."""
        number, position = divmod(step, self.steps_per_pass(batch))
        permutation = np.random.default_rng((seed, number)).permutation(len(self))
        return permutation[position * batch : (position + 1) * batch]

    def scenes(self, windows: Indices, device: torch.device) -> Tensor:
        """Returns the index of the scene of each window, [B]."""
        return torch.from_numpy(self._scenes[self._index[windows, 0]]).to(device)

    def of_scene(self, scene: int, limit: int) -> Indices:
        """Returns at most `limit` windows of a scene, spaced evenly over its footage."""
        return _evenly_spaced(np.flatnonzero(self._scenes[self._index[:, 0]] == scene), limit)

    def evenly_spaced(self, limit: int) -> Indices:
        """Returns at most `limit` windows, spaced evenly over all footage."""
        return _evenly_spaced(np.arange(len(self)), limit)

    def frames(self, windows: Indices, device: torch.device) -> Tensor:
        """Returns the frames [B,5,3,s,s] in [-1, 1]."""
        stack = np.stack([self._frames[clip][start : start + WINDOW] for clip, start in self._index[windows]])
        frames = torch.from_numpy(stack).to(device).flatten(0, 1)
        small = shrink(to_signed(frames), self._model.flow_scale)
        return small.view(len(windows), WINDOW, *small.shape[1:])

    def flows(self, windows: Indices, device: torch.device) -> Tensor:
        """Returns the normalised flows [B,4,2,h,w]; the last one leads to the frame that is predicted."""
        stack = np.stack([self._flows[clip][start : start + WINDOW - 1] for clip, start in self._index[windows]])
        flows = torch.from_numpy(stack).to(device).float().flatten(0, 1)
        normal = normalise_flow(flows, self._model.size, self._model.flow_scale)
        return normal.view(len(windows), WINDOW - 1, *normal.shape[1:])

    def targets(self, windows: Indices, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns the predicted frame [B,3,S,S] in [-1, 1] and the flow to it [B,2,S/2,S/2], in its pixels."""
        last = [(clip, start + CLIP_FRAMES) for clip, start in self._index[windows]]
        frames = np.stack([self._frames[clip][frame] for clip, frame in last])
        flows = np.stack([self._flows[clip][frame - 1] for clip, frame in last])
        return to_signed(torch.from_numpy(frames).to(device)), torch.from_numpy(flows).to(device).float()


def _evenly_spaced(windows: Indices, limit: int) -> Indices:
    return windows[np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(np.int64)]
