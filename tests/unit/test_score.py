"""Scores: segments, smoothing, quantiles and events keep their definitions for any input."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from evidence import calm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stmae.scoring import raw as score
from stmae.scoring.raw import CLIP_FRAMES, TILES, RawScores

curves = arrays(np.float64, st.integers(1, 60), elements=st.floats(-50, 50))


@given(frames=st.integers(0, 500), length=st.integers(CLIP_FRAMES + 1, 80))
def test_segments_predict_each_frame_from_the_fifth_on_exactly_once(frames: int, length: int) -> None:
    ranges = list(score.segments(frames, length))
    predicted = [frame for start, stop in ranges for frame in range(start + CLIP_FRAMES, stop)]
    assert predicted == list(range(CLIP_FRAMES, frames))
    assert all(CLIP_FRAMES < stop - start <= length for start, stop in ranges)


def test_a_segment_must_hold_a_clip_and_its_next_frame() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        list(score.segments(10, CLIP_FRAMES))


@given(curves)
def test_min_max_ends_at_0_and_1_and_keeps_the_order(values: np.ndarray) -> None:
    scaled = score.min_max(values)
    assert scaled.max() == 1
    assert scaled.min() == (0 if len(np.unique(values)) > 1 else 1)
    assert (np.diff(scaled[np.argsort(values)]) >= 0).all()


@given(curves, st.floats(0, 20))
def test_smoothing_keeps_length_bounds_and_constants(values: np.ndarray, sigma: float) -> None:
    smoothed = score.smooth(values, sigma)
    assert len(smoothed) == len(values)
    assert smoothed.min() >= values.min() - 1e-9
    assert smoothed.max() <= values.max() + 1e-9
    assert score.smooth(np.full(len(values), 7.0), sigma) == pytest.approx(7.0)


@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-9, 9)), st.integers(0, 50))
def test_a_rolling_quantile_is_that_of_the_nearest_whole_window(values: np.ndarray, window: int) -> None:
    reach = min(window // 2, (len(values) - 1) // 2)
    for at, row in enumerate(score.rolling_quantile(values, window, 0.25)):
        middle = min(max(at, reach), len(values) - 1 - reach)
        whole = values[middle - reach : middle + reach + 1]
        assert row.tolist() == np.quantile(whole, 0.25, axis=0, method="lower").tolist()


def test_evidence_is_joined_in_order_and_may_be_of_no_frame() -> None:
    nothing = RawScores.join([])
    assert len(nothing) == 0
    assert nothing.flow_tiles.shape == (0, 2, TILES, TILES)
    one, two = calm(3, seed=0), calm(5, seed=1)
    joined = RawScores.join([one, nothing, two])
    assert len(joined) == 8
    np.testing.assert_array_equal(joined.location_tiles[3:], two.location_tiles)
    assert all(getattr(joined, field.name).dtype == np.float32 for field in dataclasses.fields(joined))


@given(curves, st.integers(1, 5), st.integers(0, 5))
def test_events_are_apart_long_enough_and_hold_their_peak(values: np.ndarray, least: int, merge: int) -> None:
    events = score.hysteresis(values, 10, 5, min_frames=least, merge_frames=merge)
    for event in events:
        assert event.start <= event.peak <= event.end
        assert event.end - event.start + 1 >= least
        assert values[event.peak] == values[event.start : event.end + 1].max() > 10
        assert values[event.start] > 5 < values[event.end]
    assert all(b.start - a.end > merge for a, b in itertools.pairwise(events))


def test_hysteresis_bridges_a_dip_but_not_a_calm() -> None:
    curve = np.array([0, 12, 6, 12, 0, 0, 0, 0, 11, 0.0])
    found = score.hysteresis(curve, 10, 5, min_frames=1, merge_frames=1)
    assert [(e.start, e.peak, e.end) for e in found] == [(1, 1, 3), (8, 8, 8)]
    assert len(score.hysteresis(curve, 10, 5, min_frames=2, merge_frames=1)) == 1
    assert len(score.hysteresis(curve, 10, 5, min_frames=1, merge_frames=5)) == 1
