"""Events: stretches of a stream of scores above two levels, however the stream is cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stmae.scoring.calibration import Calibration, ReturnPeriods, ScoredFrames
from stmae.scoring.events import Event, find_events
from stmae.scoring.pvalues import PValues

FPS = 10.0
ENTER, LEAVE = 1.0, 0.0
"""Scores of once in ten hours and, at a tenth of that, once in an hour."""
# Whole numbers, since a score may be exactly a level.
curves = arrays(np.float64, st.integers(0, 60), elements=st.sampled_from([-2.0, 0.0, 0.5, 1.0, 1.5, 2.0]))


def calibration(min_frames: int = 1, merge_frames: int = 0) -> Calibration:
    some = PValues.fit(np.zeros(2), 0.5)
    return Calibration(
        fps=FPS,
        hours=1.0,
        pvalues=(some,) * 4,
        return_periods=ReturnPeriods(some, 0.0),
        event_hours=10**ENTER,
        min_seconds=min_frames / FPS,
        merge_seconds=merge_frames / FPS,
    )


def scored(curve: Sequence[float] | np.ndarray, log10_p: np.ndarray | None = None) -> ScoredFrames:
    curve = np.asarray(curve, np.float64)
    return ScoredFrames(curve, np.zeros((len(curve), 4)) if log10_p is None else log10_p)


def events(curve: Sequence[float] | np.ndarray, min_frames: int = 1, merge_frames: int = 0) -> list[tuple[int, ...]]:
    found = find_events([scored(curve)], calibration(min_frames, merge_frames))
    return [(event.start, event.peak, event.end) for event in found]


def expected(curve: np.ndarray, min_frames: int, merge_frames: int) -> list[tuple[int, ...]]:
    """Returns (start, peak, end) of the events, by their definition."""
    runs = [
        [i for i, _ in run] for above, run in itertools.groupby(enumerate(curve), lambda row: row[1] > LEAVE) if above
    ]
    stretches: list[tuple[int, int]] = []
    for run in runs:
        if max(curve[run]) > ENTER:
            if stretches and run[0] - stretches[-1][1] - 1 <= merge_frames:
                stretches[-1] = (stretches[-1][0], run[-1])
            else:
                stretches.append((run[0], run[-1]))
    return [
        (start, start + int(np.argmax(curve[start : end + 1])), end)
        for start, end in stretches
        if end - start + 1 >= min_frames
    ]


@given(curves, st.integers(1, 5), st.integers(0, 5))
def test_events_are_runs_above_the_exit_level_that_exceed_the_entry_level(
    curve: np.ndarray, min_frames: int, merge_frames: int
) -> None:
    assert events(curve, min_frames, merge_frames) == expected(curve, min_frames, merge_frames)


@given(curves, st.integers(1, 5), st.integers(0, 5), st.lists(st.integers(0, 60), max_size=8), st.integers(0, 99))
def test_events_are_the_same_however_the_stream_is_cut(
    curve: np.ndarray, min_frames: int, merge_frames: int, cuts: list[int], seed: int
) -> None:
    whole = scored(curve, np.random.default_rng(seed).random((len(curve), 4)))
    by = calibration(min_frames, merge_frames)
    bounds = [0, *sorted(min(cut, len(curve)) for cut in cuts), len(curve)]
    found = list(find_events([whole], by))
    assert list(find_events((whole[a:b] for a, b in itertools.pairwise(bounds)), by)) == found
    assert list(find_events((whole[i : i + 1] for i in range(len(curve))), by)) == found


def test_a_dip_above_the_exit_level_does_not_end_an_event() -> None:
    assert events([-2, 2, 0.5, 2, -2]) == [(1, 1, 3)]
    assert events([-2, 2, -0.5, 2, -2]) == [(1, 1, 1), (3, 3, 3)]
    assert events([-2, 0.5, 0.5, -2]) == []


def test_an_event_lasts_while_the_return_period_is_above_a_tenth_of_the_one_that_makes_it_one() -> None:
    assert events([-0.01, 0.01, 1.01, 0.01, -0.01]) == [(1, 2, 3)]
    assert events([0.99, 1.0]) == []


def test_near_events_are_one_and_what_is_then_too_short_is_none() -> None:
    curve = [-2, 2, -2, -2, 1.5, -2]
    assert events(curve, merge_frames=2) == [(1, 1, 4)]
    assert events(curve, merge_frames=1) == [(1, 1, 1), (4, 4, 4)]
    assert events(curve, min_frames=2, merge_frames=1) == []
    assert events(curve, min_frames=4, merge_frames=2) == [(1, 1, 4)]


def test_events_at_both_ends_of_a_stream_count() -> None:
    assert events([2, -2, 2]) == [(0, 0, 0), (2, 2, 2)]


def test_an_event_has_the_score_and_the_detector_of_its_peak() -> None:
    log10_p = np.zeros((5, 4))
    log10_p[1], log10_p[3] = [9, 1, 1, 1], [1, 2, 8, 3]
    assert list(find_events([scored([-2, 1.5, 0.5, 3.25, -2], log10_p)], calibration())) == [
        Event(start=1, peak=3, end=3, score=3.25, detector=2)
    ]


def test_merged_events_have_the_higher_peak() -> None:
    log10_p = np.eye(5, 4)
    (event,) = find_events([scored([2.5, -2, 1.5, -2, -2], log10_p)], calibration(merge_frames=2))
    assert (event.start, event.peak, event.end, event.score, event.detector) == (0, 0, 2, 2.5, 0)


@pytest.mark.parametrize("parts", [[], [scored([])], [scored([-2.0] * 5), scored([])]])
def test_a_stream_without_anything_high_has_no_event(parts: list[ScoredFrames]) -> None:
    assert list(find_events(parts, calibration())) == []


def test_events_come_out_while_the_stream_goes_on() -> None:
    taken = 0

    def parts() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield scored([2.0, -2.0, -2.0, -2.0])

    found = find_events(parts(), calibration())  # type: ignore[arg-type]
    assert [next(found).start for _ in range(3)] == [0, 4, 8]
    assert taken < 10
