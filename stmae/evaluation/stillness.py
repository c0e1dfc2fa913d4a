"""How much frames of a camera differ in which nothing moves: fitted to normal footage, and tried on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import CLIP_FRAMES, STILL_SPEED, Floats, RawScores
from stmae.video.stillness import difference, holders

STILL_SHARE = 0.99
"""So many of the frames in which nothing moves differ by no more than noise."""
MOVING_SHARE = 0.001
"""At most so many of the frames in which something moves do."""

Images = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Footage:
    """A normal clip: its frames [F,S,S,3], and the raw scores of those from the fifth on."""

    frames: Images
    raw: RawScores

    def held(self, noise: float) -> RawScores:
        """Returns the raw scores where each frame that shows nothing new has those of an earlier one."""
        return self.raw[holders(self.frames, CLIP_FRAMES, noise)]


def fit_noise(clips: Sequence[Footage], events: Callable[[RawScores], list[object]]) -> float:
    """Returns the noise of a camera in grey levels; 0 where its frames do not tell a still scene from one that moves.

    `events` finds the events of raw scores. Where a clip has others without the frames that noise would have left out,
    it is 0 too.
    """
    still, moving = (np.concatenate([each[kind] for each in map(_differences, clips)]) for kind in (0, 1))
    if not len(still):
        return 0.0
    noise = float(np.quantile(still, STILL_SHARE))
    if len(moving):
        noise = min(noise, float(np.quantile(moving, MOVING_SHARE)))
    same = all(events(clip.held(noise)) == events(clip.raw) for clip in clips)
    return noise if same else 0.0


def _differences(clip: Footage) -> tuple[Floats, Floats]:
    """Returns by how much frames differ from the first of their clip: of still clips, and of those with motion."""
    moves = np.hypot(*np.moveaxis(clip.raw.flow_tiles, 1, 0)).max(axis=(1, 2), initial=0.0) > STILL_SPEED
    found = np.array(
        [difference(clip.frames[index + CLIP_FRAMES], clip.frames[index]) for index in range(len(clip.raw))]
    )
    # Frames are compared over four flows. The first of those belong to frames without scores, and are not known.
    recent = np.array([moves[max(index - CLIP_FRAMES + 1, 0) : index + 1].any() for index in range(len(moves))], bool)
    return found[~recent], found[recent]
