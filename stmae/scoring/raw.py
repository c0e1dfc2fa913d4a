"""Raw scores: what the model measures of each frame. The constants here are shared by model, serving and scoring.

Legend: F scored frames, tiles are [16,16].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

CLIP_FRAMES = 4
"""Frames that a prediction is made from: the first frames of a video, which get no score."""
TILES = 16
"""Tiles a side of every map."""
MOTION_FRAME_SIZE = 256
"""Pixels a side at which motion is measured, at most; flow on larger frames is finer than the net is sure of."""
STILL_SPEED = 0.2
"""Pixels a frame below which a tile counts as still."""

Floats = npt.NDArray[np.floating]
Singles = npt.NDArray[np.float32]


class Rows:
    """Base of dataclasses whose fields are arrays with one row a frame."""

    def __len__(self) -> int:
        return len(getattr(self, dataclasses.fields(self)[0].name))  # type: ignore[arg-type]

    def __getitem__(self, rows: slice | npt.NDArray[np.intp]) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))  # type: ignore[arg-type]

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Returns the rows of all parts, one after the other. Raises ValueError for no parts."""
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclasses.dataclass(frozen=True, slots=True)
class RawScores(Rows):
    """The outputs of the ensemble for consecutive frames of one video, from its fifth frame on."""

    psnr: Singles
    """[F] dB."""
    memory_distance: Singles
    """[F,2] mean squared distance to the nearest memory item: appearance, motion."""
    error_tiles: Singles
    """[F,16,16] mean squared prediction error, pixels in [0, 1]."""
    location_tiles: Singles
    """[F,16,16] squared distance from the per-location Gaussian, in its standard deviations."""
    feature_tiles: Singles
    """[F,16,16] squared distance from the nearest feature in the bank, 0 to 2. It counts where something moves."""
    flow_tiles: Singles
    """[F,2,16,16] x and y displacement since the frame before of what moves in the tile, in pixels of frames that are
    at most MOTION_FRAME_SIZE wide."""

    @classmethod
    def empty(cls) -> RawScores:
        """Returns the raw scores of no frames."""
        shapes: tuple[tuple[int, ...], ...] = ((), (2,), *[(TILES, TILES)] * 3, (2, TILES, TILES))
        return cls(*(np.zeros((0, *shape), np.float32) for shape in shapes))

    def check(self) -> Self:
        """Returns these raw scores. Raises ValueError where one is not finite."""
        for field in dataclasses.fields(self):
            if not np.isfinite(getattr(self, field.name)).all():
                raise ValueError(f"{field.name}: not finite: the model is broken; train and publish it again")
        return self
