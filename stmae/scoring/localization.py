"""The box around the oddest place of a map of tiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

SHARE = 0.5
"""Share of the highest tile's score above which a tile belongs to the odd place: a higher one cuts off parts of what
is odd, a lower one takes in its neighbours."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the frame."""


def peak_box(tile_map: npt.NDArray[np.floating]) -> Box:
    """Around the tile of [K,K] with the highest score and all above SHARE of it that touch it, directly or in turn.

    The whole frame where nothing is odd.
    """
    if not tile_map.max() > 0:
        return 0.0, 0.0, 1.0, 1.0
    places, _ = ndimage.label(tile_map > SHARE * tile_map.max(), structure=np.ones((3, 3)))
    rows, columns = np.nonzero(places == places.flat[int(tile_map.argmax())])
    height, width = tile_map.shape
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return float(left / width), float(top / height), float(right / width), float(bottom / height)
