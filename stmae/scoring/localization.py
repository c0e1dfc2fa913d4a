"""The box around the most anomalous place of a heat map."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stmae.scoring.raw import Floats

BOX_LEVEL = 0.5
"""Fraction of the highest tile's value above which tiles that touch it are in the box: a higher one cuts off parts of
what is anomalous, a lower one takes in its neighbours."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the frame."""


def peak_box(heatmap_RC: Floats) -> Box:
    """Returns the box around the highest tile and all that touch it, or the whole frame if none is above 0."""
    if not heatmap_RC.max() > 0:
        return 0.0, 0.0, 1.0, 1.0
    regions, _ = ndimage.label(heatmap_RC > BOX_LEVEL * heatmap_RC.max(), structure=np.ones((3, 3)))
    rows, columns = ndimage.find_objects(regions)[regions.flat[int(heatmap_RC.argmax())] - 1]
    height, width = heatmap_RC.shape
    return columns.start / width, rows.start / height, columns.stop / width, rows.stop / height
