"""Streams: nothing depends on how footage is cut, nor on what is far away in time, and memory does not grow."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_scores import fit, scores_of, times_tile, values_of, walkers, with_tile

from stmae.scoring.calibration import ScoredFrames
from stmae.scoring.events import find_events
from stmae.scoring.normality import FrameValues
from stmae.scoring.raw import RawScores
from stmae.scoring.stream import windows

EVERYWHERE = (slice(None), slice(None))
SPOT = (slice(5, 7), slice(9, 11))
MODEL, CALIBRATION = fit([walkers(400, seed) for seed in range(2)], event_hours=0.05)
FRAMES = 700
STREAM = with_tile(walkers(FRAMES, 9), "flow_tiles", slice(150, 180), (6.0, 0.0), SPOT)
STREAM = with_tile(STREAM, "location_tiles", slice(240, 330), 40.0, SPOT)
STREAM = with_tile(STREAM, "error_tiles", slice(500, 530), 0.1, SPOT)
VALUES = values_of(MODEL, STREAM)
SCORES = scores_of(MODEL, CALIBRATION, STREAM)
EVENTS = list(find_events([SCORES], CALIBRATION))

cut_points = st.lists(st.integers(0, FRAMES), max_size=12)


def cut(raw: RawScores, at: Sequence[int]) -> Iterator[RawScores]:
    """Yields the parts between some frames; they may be empty."""
    return (raw[start:stop] for start, stop in itertools.pairwise([0, *sorted(at), len(raw)]))


def assert_equal(found: FrameValues | ScoredFrames, expected: FrameValues | ScoredFrames) -> None:
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


@given(st.integers(0, 1000), st.integers(0, 300), st.integers(0, 300), st.lists(st.integers(0, 1000), max_size=8))
def test_windows_are_the_same_however_the_stream_is_cut(frames: int, back: int, ahead: int, at: list[int]) -> None:
    """Each frame is in one block, and its window reaches `back` rows before and `ahead` after, or to the ends."""
    rows = ScoredFrames(np.arange(frames), np.zeros((frames, 4)))
    bounds = [0, *sorted(min(each, frames) for each in at), frames]
    done = 0
    for window, block in windows((rows[a:b] for a, b in itertools.pairwise(bounds)), back, ahead):
        first, start, stop = int(window.score[0]), block.start, block.stop
        assert first + start == done
        assert start <= back
        assert first == 0 or start == back
        done = first + stop
        assert stop > start
        assert window.score.tolist() == list(range(first, min(done + ahead, frames)))
    assert done == frames


@settings(max_examples=6)
@given(cut_points)
@example(list(range(FRAMES)))
@example([255, 256, 256, 257])
def test_values_scores_and_events_are_equal_however_raw_scores_are_cut(at: list[int]) -> None:
    values = list(MODEL.frame_values(cut(STREAM, at)))
    assert_equal(FrameValues.join(values), VALUES)
    scores = list(CALIBRATION.scores(values))
    assert_equal(ScoredFrames.join(scores), SCORES)
    assert list(find_events(scores, CALIBRATION)) == EVENTS
    assert len(EVENTS) >= 3


@given(cut_points)
@example(list(range(FRAMES)))
def test_scores_are_equal_however_values_are_cut(at: list[int]) -> None:
    bounds = [0, *sorted(at), FRAMES]
    parts = (VALUES[start:stop] for start, stop in itertools.pairwise(bounds))
    assert_equal(ScoredFrames.join(list(CALIBRATION.scores(parts))), SCORES)


SLOW = 4.0
TEN_MINUTES, TWO_SECONDS = round(600 * SLOW), round(2 * SLOW)
LONG = walkers(TEN_MINUTES + 400, 5)
SLOW_MODEL, SLOW_CALIBRATION = fit([walkers(400, seed) for seed in range(2)], fps=SLOW)
LONG_SCORES = scores_of(SLOW_MODEL, SLOW_CALIBRATION, LONG)


def changed(raw: RawScores, frames: slice) -> RawScores:
    """Returns other raw scores in some frames: the light is other everywhere, and something else moves."""
    for name, factor in (("error_tiles", 5), ("location_tiles", 5), ("feature_tiles", 2), ("flow_tiles", -3)):
        raw = times_tile(raw, name, frames, factor, EVERYWHERE)
    return with_tile(raw, "flow_tiles", frames, (3.0, 3.0), SPOT)


@pytest.mark.parametrize("frame", [1, 255, 256, 257, 400])
def test_a_score_depends_on_nothing_more_than_two_seconds_after_it(frame: int) -> None:
    """Not even by a rounding error."""
    scores = scores_of(SLOW_MODEL, SLOW_CALIBRATION, changed(LONG[:600], slice(frame, None)))
    known = max(frame - TWO_SECONDS, 0)
    assert_equal(scores[:known], LONG_SCORES[:known])
    assert (scores.score[known : frame + 1] != LONG_SCORES.score[known : frame + 1]).any(), "but on what is nearer"


@pytest.mark.parametrize("frame", [30, 300])
def test_a_score_depends_on_nothing_more_than_ten_minutes_before_it(frame: int) -> None:
    """Not even by a rounding error."""
    scores = scores_of(SLOW_MODEL, SLOW_CALIBRATION, changed(LONG, slice(0, frame)))
    free = frame + TEN_MINUTES
    assert_equal(scores[free:], LONG_SCORES[free:])
    assert (scores.score[free - 100 : free] != LONG_SCORES.score[free - 100 : free]).any(), "but on what is nearer"


def test_a_score_is_the_same_wherever_its_stream_began_more_than_ten_minutes_ago() -> None:
    late = 150
    scores = scores_of(SLOW_MODEL, SLOW_CALIBRATION, LONG[late:])
    known = late + TEN_MINUTES
    np.testing.assert_allclose(scores.score[TEN_MINUTES:], LONG_SCORES.score[known:], rtol=0, atol=1e-9)
    np.testing.assert_allclose(scores.log10_p[TEN_MINUTES:], LONG_SCORES.log10_p[known:], rtol=0, atol=1e-9)


THINGS = {
    "motion": lambda raw, at: with_tile(raw, "flow_tiles", at, (6.0, 0.0), SPOT),
    "prediction": lambda raw, at: with_tile(raw, "error_tiles", at, 0.1, SPOT),
    "persistence": lambda raw, at: with_tile(raw, "location_tiles", at, 40.0, SPOT),
    "the error of the view": lambda raw, at: times_tile(raw, "error_tiles", at, 3, EVERYWHERE),
    "the distance of the view": lambda raw, at: times_tile(raw, "location_tiles", at, 3, EVERYWHERE),
}


@pytest.mark.parametrize("thing", THINGS)
def test_there_is_no_step_where_something_is_present_for_half_of_a_clip(thing: str) -> None:
    make: Callable[[RawScores, slice], RawScores] = THINGS[thing]
    clip, start = walkers(400, 9), 150
    peaks = [
        scores_of(MODEL, CALIBRATION, make(clip, slice(start, start + round(fraction * len(clip))))).score.max()
        for fraction in (0.49, 0.51)
    ]
    assert peaks[1] == pytest.approx(peaks[0], abs=0.1)
    assert min(peaks) > scores_of(MODEL, CALIBRATION, clip).score.max() + 0.5


def test_ten_hours_take_the_memory_of_one() -> None:
    fps = 0.16
    model, calibration = fit([walkers(200, seed) for seed in range(2)], fps=fps)

    def peak(hours: int) -> int:
        part = round(300 * fps)
        parts = (THINGS["motion"](walkers(part, seed), slice(20, 30)) for seed in range(hours * 12))
        tracemalloc.start()
        try:
            scores = calibration.scores(model.frame_values(parts))
            assert sum(1 for _ in find_events(scores, calibration)) >= hours * 12
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(10) <= 1.1 * peak(1)
