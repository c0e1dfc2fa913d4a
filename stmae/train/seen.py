"""How what moved in a scene's training footage looks: what a model knows, and what it would know without a clip."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stmae.data.manifest import Clip
from stmae.model.looks import Looks, histograms
from stmae.model.memory import queries_of
from stmae.model.stmae import STMAE, moved_tiles
from stmae.train.samples import Windows
from stmae.usual import STILL

SEEN_WINDOWS = 2000
"""Windows of a scene, at most, from which it is learnt what each place usually shows and how what moves looks."""
AT_ONCE = 64
"""Windows."""


class Seen(NamedTuple):
    """What the tiles in which something moved looked like, and in which clip that was."""

    looks: Tensor
    """[Q,C] unit vectors."""
    clips: npt.NDArray[np.str_]
    """[Q] names."""

    @classmethod
    @torch.no_grad()
    def of(cls, model: STMAE, windows: Windows, scene: int, device: torch.device) -> Self:
        looks, clips = [], []
        for batch in windows.of_scene(scene, SEEN_WINDOWS, AT_ONCE):
            frames, flow = windows.moved(batch, device)
            moves = moved_tiles(flow, model.flow_side).square().sum(1).flatten(1) > STILL**2
            looks.append(queries_of(histograms(frames, flow, frames.shape[-1]))[moves.flatten()])
            clips.append(np.repeat(windows.clips(batch), moves.sum(1).cpu().numpy()))
        return cls(torch.cat(looks), np.concatenate(clips))

    def without(self, clip: Clip, model: STMAE, scene: int) -> Looks:
        """Those that the model would have of the scene had it not seen the clip.

        What a model was fitted on looks more usual to it than the next clip will. The model's own where there was
        no other clip.
        """
        others = self.clips != clip.name
        if not others.any():
            return model.looks
        looks = Looks(len(model.looks.samples), model.looks.size).to(self.looks.device)
        looks.fit(scene, self.looks[torch.from_numpy(others)])
        return looks
