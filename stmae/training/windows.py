"""Training windows: five consecutive frames of a clip and the four flows between them.

Legend: B windows, S side of FRAMES, s side of what the auto-encoders see, h = w = s/2 normalised flow samples a side.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest, Split, scene_index
from stmae.model.stmae import normalise_flow, shrink, to_signed
from stmae.scoring.raw import CLIP_FRAMES
from stmae.training.sources import Mapped, Resident, Source, fits

WINDOW = CLIP_FRAMES + 1


class Windows:
    """All windows of a split, as tensors on a device. Windows are given by their numbers, a tensor [B]."""

    def __init__(
        self,
        config: Config,
        manifest: Manifest,
        split: Split,
        device: torch.device,
        *,
        flow: FlowCache | None = None,
        resident: bool | None = None,
    ) -> None:
        """Reads frames, and flows if a cache is given, from the device's own memory if `resident`, else from files.

        By default footage is resident on a GPU where it `fits`. Raises ValueError if there is no window.
        """
        self.device, self._model = device, config.model
        clips = manifest.split(split)
        frames = [manifest.frames(clip) for clip in clips]
        starts = [
            (clip, start)
            for clip, array in enumerate(frames)
            for start in range(0, len(array) - WINDOW + 1, config.data.frame_stride)
        ]
        if not starts:
            raise ValueError(f"{manifest.root}: split {split!r} has no window of {WINDOW} frames; add longer clips")
        flows = [flow.flows(clip) for clip in clips] if flow else []
        in_memory = fits([*frames, *flows], device) if resident is None else resident
        source = Resident if in_memory else Mapped
        self._frames: Source = source(frames, device)
        self._flows: Source | None = source(flows, device) if flows else None
        self._index_device = self._frames.index_device
        self._clips, self._starts = torch.from_numpy(np.array(starts)).to(self._index_device).unbind(1)
        self._scenes = torch.tensor([scene_index(config, manifest, clip) for clip in clips]).to(self._index_device)
        self._pass: tuple[tuple[int, int], Tensor] | None = None

    def __len__(self) -> int:
        return len(self._clips)

    def steps_per_pass(self, batch: int) -> int:
        """Returns the number of full batches in one pass, or 1 (smaller) batch if there are too few windows for one."""
        return max(len(self) // batch, 1)

    def order(self, step: int, batch: int, seed: int) -> Tensor:
        """Returns the windows of a step's batch: a permutation a pass, drawn from the seed and the pass only."""
        number, position = divmod(step, self.steps_per_pass(batch))
        if self._pass is None or self._pass[0] != (seed, number):
            permutation = np.random.default_rng((seed, number)).permutation(len(self))
            self._pass = (seed, number), torch.from_numpy(permutation).to(self._index_device)
        return self._pass[1][position * batch : (position + 1) * batch]

    def scenes(self, windows: Tensor) -> Tensor:
        """Returns the index of the scene of each window, [B]."""
        return self._scenes[self._clips[windows]].to(self.device)

    def of_scene(self, scene: int, limit: int) -> Tensor:
        """Returns at most `limit` windows of a scene, spaced evenly over its footage."""
        return _evenly_spaced((self._scenes[self._clips] == scene).nonzero()[:, 0], limit)

    def evenly_spaced(self, limit: int) -> Tensor:
        """Returns at most `limit` windows, spaced evenly over all footage."""
        return _evenly_spaced(torch.arange(len(self), device=self._index_device), limit)

    def frames(self, windows: Tensor) -> Tensor:
        """Returns the frames [B,5,3,s,s] in [-1, 1]."""
        frames = self._frames.read(self._clips[windows], self._starts[windows], WINDOW).flatten(0, 1)
        small = shrink(to_signed(frames), self._model.flow_scale)
        return small.view(len(windows), WINDOW, *small.shape[1:])

    def flows(self, windows: Tensor) -> Tensor:
        """Returns the normalised flows [B,4,2,h,w]; the last one leads to the frame that is predicted."""
        flows = self._flow_source.read(self._clips[windows], self._starts[windows], WINDOW - 1)
        normal = normalise_flow(flows.float().flatten(0, 1), self._model.size, self._model.flow_scale)
        return normal.view(len(windows), WINDOW - 1, *normal.shape[1:])

    def targets(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the predicted frame [B,3,S,S] in [-1, 1] and the flow to it [B,2,S/2,S/2], in its pixels."""
        clips, last = self._clips[windows], self._starts[windows] + CLIP_FRAMES
        frames, flows = self._frames.read(clips, last, 1), self._flow_source.read(clips, last - 1, 1)
        return to_signed(frames.squeeze(1)), flows.squeeze(1).float()

    @property
    def _flow_source(self) -> Source:
        assert self._flows is not None, "these windows were built without a flow cache"
        return self._flows


def _evenly_spaced(windows: Tensor, limit: int) -> Tensor:
    chosen = np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(np.int64)
    return windows[torch.from_numpy(chosen).to(windows.device)]
