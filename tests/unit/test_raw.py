"""Raw scores: rows of frames that are joined, cut and checked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_scores import walkers

from stmae.scoring.raw import TILES, RawScores

FIELDS = [field.name for field in dataclasses.fields(RawScores)]


def test_raw_scores_are_joined_in_order_and_cut_like_arrays() -> None:
    one, two = walkers(3, seed=0), walkers(5, seed=1)
    joined = RawScores.join([one, RawScores.empty(), two])
    assert len(joined) == 8
    for name in FIELDS:
        assert getattr(joined, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(joined[3:], name), getattr(two, name))


def test_no_frames_have_raw_scores_of_the_right_shapes() -> None:
    nothing = RawScores.empty()
    assert len(nothing) == 0
    assert {name: getattr(nothing, name).shape[1:] for name in FIELDS} == {
        name: getattr(walkers(2, seed=0), name).shape[1:] for name in FIELDS
    }
    assert nothing.flow_tiles.shape == (0, 2, TILES, TILES)
    assert nothing.check() is nothing


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_the_tensor_and_the_mend(name: str, value: float) -> None:
    raw = walkers(9, seed=0)
    assert raw.check() is raw
    broken = getattr(raw, name).copy()
    broken.reshape(9, -1)[7, -1] = value
    with pytest.raises(ValueError, match=rf"^{name}: not finite.*train and publish it again"):
        dataclasses.replace(raw, **{name: broken}).check()
