"""The box around the highest place of a heatmap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stmae.scoring.localization import peak_box


def test_the_box_surrounds_the_peak_and_the_tiles_above_half_of_it_that_touch_it() -> None:
    tiles = np.full((16, 16), 0.7, np.float32)
    tiles[2, 3], tiles[3, 4], tiles[4, 4], tiles[4, 5] = 10.0, 5.5, 7.0, 5.0
    tiles[12, 12] = 9.0  # as anomalous, but elsewhere
    assert peak_box(tiles) == (3 / 16, 2 / 16, 5 / 16, 5 / 16)


def test_where_nothing_is_anomalous_the_box_is_the_whole_frame() -> None:
    assert peak_box(np.zeros((16, 16))) == peak_box(np.full((16, 16), -1.0)) == (0, 0, 1, 1)


@given(arrays(np.float64, (16, 16), elements=st.floats(0, 50)))
def test_the_box_lies_in_the_frame_and_holds_the_highest_tile(tiles: np.ndarray) -> None:
    left, top, right, bottom = peak_box(tiles)
    row, column = np.unravel_index(int(tiles.argmax()), (16, 16))
    assert 0 <= left <= column / 16 < (column + 1) / 16 <= right <= 1
    assert 0 <= top <= row / 16 < (row + 1) / 16 <= bottom <= 1
