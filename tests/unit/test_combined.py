"""The combined score: from surprises of tiles to tile maps and scores of frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae.scoring.combine import KAPPA, WAYS, Floats, either, frame_score, joined, sustained, tile_map, way_curves
from stmae.scoring.norm import KINDS, Kind


def e_value(surprise: float) -> float:
    return KAPPA * math.exp((1 - KAPPA) * surprise)


def all_over(**surprises: float) -> dict[Kind, Floats]:
    """One frame."""
    return {kind: np.full((1, 16, 16), surprises[kind]) for kind in KINDS}


@given(*[st.floats(0, 50)] * 4, st.sampled_from(KINDS))
def test_a_tile_is_the_odder_the_odder_it_is_in_any_kind(
    prediction: float, motion: float, appearance: float, presence: float, kind: Kind
) -> None:
    surprises = {"prediction": prediction, "motion": motion, "appearance": appearance, "presence": presence}
    e = {kind: e_value(value) for kind, value in surprises.items()}
    mean = (e["motion"] * (1 + e["prediction"] + e["appearance"]) + e["presence"]) / 4
    found = tile_map(all_over(**surprises))[0, 0, 0]
    assert found == pytest.approx(math.log(mean))
    assert tile_map(all_over(**surprises | {kind: surprises[kind] + 1}))[0, 0, 0] >= found


@given(st.lists(st.floats(0, 50), min_size=4, max_size=4), st.integers(0, 3))
def test_a_frame_is_the_odder_the_odder_it_is_in_any_way(surprises: list[float], way: int) -> None:
    found = joined(np.array(surprises)[:, None])[0]
    assert found == pytest.approx(math.log(np.mean([e_value(value) for value in surprises])))
    surprises[way] += 1
    assert joined(np.array(surprises)[:, None])[0] >= found


def test_at_most_a_share_of_exp_of_minus_x_of_normal_frames_has_x_however_ways_depend_on_each_other() -> None:
    """Surprises of what is normal are exponential; here ways agree, have nothing in common, or differ."""
    one, two = np.random.default_rng(0).exponential(size=(2, 100_000))
    opposite = -np.log1p(-np.exp(-one))
    for ways in ([one, one, one, one], [one, two, one, two], [one, opposite, two, one]):
        scores = joined(np.stack(ways))
        assert all((scores >= x).mean() <= math.exp(-x) for x in (0.5, 1, 2, 3, 5))


def test_kinds_count_together_where_they_are_at_the_same_tiles() -> None:
    surprises = {kind: np.zeros((1, 16, 16)) for kind in KINDS}
    for kind, first in {"motion": 30, "prediction": 30, "appearance": 90}.items():
        surprises[kind].reshape(256)[first : first + 4] = 20.0
    curves = dict(zip(WAYS, way_curves(surprises, 0.0)[:, 0], strict=True))
    one = math.log(e_value(20))
    assert curves[("motion",)] == pytest.approx(one)
    assert curves[("motion", "prediction")] == pytest.approx(2 * one)
    assert curves[("motion", "appearance")] < one
    assert curves[("presence",)] == pytest.approx(math.log(e_value(0)))


@given(st.floats(0, 50), st.floats(0, 50))
def test_what_is_odd_in_one_of_two_respects_is_as_odd_as_the_mean_of_their_e_values(
    first: float, second: float
) -> None:
    found = float(either(np.array(first), np.array(second)))
    assert e_value(found) == pytest.approx((e_value(first) + e_value(second)) / 2)
    assert max(first, second) - math.log(2) / (1 - KAPPA) <= found + 1e-9
    assert found <= max(first, second) + 1e-9


def test_a_curve_is_as_high_as_it_is_before_and_after() -> None:
    """What begins all at once is hardly seen coming, and what is there for once is next to nothing."""
    begins, once = np.zeros((2, 200))
    begins[100:], once[100] = 20.0, 20.0
    curve = sustained(begins, 5.0)
    assert (np.diff(curve) > -1e-9).all()
    assert curve[:97].max() < math.log(2) + 1e-9, "no more than two frames early"
    assert curve[100] > 5
    assert curve[106] > 15
    assert curve[130:] == pytest.approx(np.full(70, 20.0))
    assert sustained(once, 5.0)[100] < 5
    assert sustained(once, 0.0).tolist() == once.tolist()


@given(st.lists(st.floats(-20, 50), min_size=1, max_size=60), st.floats(0, 12))
def test_sustained_curves_stay_within_what_they_are_made_of_and_know_no_direction(
    values: list[float], sigma: float
) -> None:
    curve = np.array(values)
    found = sustained(curve, sigma)
    assert len(found) == len(curve)
    assert found.min() >= curve.min() - 1e-9
    assert found.max() <= curve.max() + 1e-9
    np.testing.assert_allclose(sustained(curve[::-1], sigma)[::-1], found, atol=1e-9)
    np.testing.assert_allclose(sustained(curve + 3, sigma), found + 3, atol=1e-9)


def test_frame_scores_are_sustained() -> None:
    tiles = np.random.default_rng(0).exponential(size=(50, 16, 16))
    np.testing.assert_array_equal(frame_score(tiles, 5.0), sustained(frame_score(tiles, 0.0), 5.0))


def test_a_frame_score_is_the_mean_of_the_four_highest_tiles_less_that_of_the_next_sixteen() -> None:
    tiles = np.zeros((4, 16, 16))
    tiles[1:].reshape(3, 256)[:, [3, 77, 100, 200]] = (8, 6, 4, 2)
    tiles.reshape(4, 256)[2, 20:36] = 1
    tiles.reshape(4, 256)[3, 20:28] = 2
    assert frame_score(tiles, 0.0).tolist() == [0, 5, 4, 4]


def test_what_is_odd_everywhere_loses_no_more_than_one_and_a_half_nats_and_what_is_usual_nothing() -> None:
    assert frame_score(np.stack([np.full((16, 16), value) for value in (-2.0, 8.0)]), 0.0).tolist() == [-2, 6.5]
