"""Frames that show nothing new are found, and nothing that moves is passed over."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import walkers

from stmae.evaluation.stillness import Footage, fit_noise
from stmae.scoring.raw import RawScores
from stmae.video.stillness import difference, holders, runs

WINDOW, NOISE = 4, 3.0


def film(places: list[int | None], noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """Returns grey frames with a bright square at each place, or none."""
    generator = np.random.default_rng(seed)
    frames = np.full((len(places), 64, 64, 3), 100.0)
    for frame, place in zip(frames, places, strict=True):
        if place is not None:
            frame[20:28, place : place + 8] = 200
    return np.clip(np.round(frames + noise * generator.standard_normal(frames.shape)), 0, 255).astype(np.uint8)


def test_noise_is_no_difference_and_a_small_thing_is() -> None:
    empty, again = film([None, None])
    there = film([8])[0]
    assert difference(empty, again) < NOISE < 30 < difference(empty, there)


def test_a_still_scene_is_measured_once() -> None:
    assert holders(film([None] * 30), WINDOW, NOISE).tolist() == [0] * 26


def test_what_moves_is_measured_and_what_it_leaves_is_measured_anew() -> None:
    moving = [4, 8, 12, 16]
    held = holders(film([None] * 10 + moving + [24] * 12), WINDOW, NOISE)
    assert held[:6].tolist() == [0] * 6
    assert held[6:14].tolist() == [6, 7, 8, 9, 10, 11, 12, 13], "as long as a window shows motion"
    assert held[14:].tolist() == [14] * 8, "a square that was left is another still scene"


def test_slow_light_ends_a_hold_once_it_adds_up() -> None:
    frames = np.stack([np.full((64, 64, 3), level, np.uint8) for level in np.repeat(np.arange(100, 120), 4)])
    held = holders(frames, WINDOW, NOISE)
    assert len(set(held.tolist())) > 4
    drift = [difference(frames[index + WINDOW], frames[by + WINDOW]) for index, by in enumerate(held.tolist())]
    assert max(drift) <= NOISE


def test_without_a_noise_level_every_frame_is_measured() -> None:
    assert holders(film([None] * 12), WINDOW, 0.0).tolist() == list(range(8))


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, 4, 20, 40]), min_size=5, max_size=30))
def test_a_frame_is_held_only_by_an_earlier_one_that_saw_the_same(places: list[int | None]) -> None:
    held = holders(film(places, noise=0), WINDOW, NOISE)
    for index, by in enumerate(held.tolist()):
        assert by <= index
        assert held[by] == by
        if by < index:
            assert places[by : by + WINDOW + 1] == places[index : index + WINDOW + 1]
            assert len(set(places[index : index + WINDOW + 1])) == 1
    asked = runs(held, WINDOW)
    measured = {index for run in asked for index in range(run.start, run.stop)}
    assert set(held.tolist()) <= measured
    for one, other in itertools.pairwise(asked):
        assert other.start - one.stop > WINDOW


@pytest.mark.parametrize(("held", "expected"), [([0, 0, 0, 3, 4], [(0, 5)]), ([0] * 7 + [7, 8], [(0, 1), (7, 9)])])
def test_runs_that_are_near_are_one(held: list[int], expected: list[tuple[int, int]]) -> None:
    assert [(run.start, run.stop) for run in runs(np.array(held), WINDOW)] == expected


def raw_scores(speeds: list[float]) -> RawScores:
    """Returns raw scores in which one tile moves at each speed."""
    raw = walkers(len(speeds), 0)
    flow = np.zeros_like(raw.flow_tiles)
    flow[:, 0, 5, 5] = speeds
    return dataclasses.replace(raw, flow_tiles=flow)


def test_noise_is_what_frames_differ_by_in_which_nothing_moves() -> None:
    places = [None] * 60 + [4 + 2 * index for index in range(20)]
    clip = Footage(film(places), raw_scores([0.0 if place is None else 2.0 for place in places[4:]]))
    noise = fit_noise([clip], lambda raw: [])
    assert 0.5 < noise < NOISE
    held = holders(clip.frames, WINDOW, noise)
    assert (held[:56] != np.arange(56)).mean() > 0.9
    assert (held[57:] == np.arange(57, 76)).all()


def test_where_events_would_be_others_every_frame_is_measured() -> None:
    clip = Footage(film([None] * 40), raw_scores([0.0] * 36))
    assert fit_noise([clip], lambda raw: [len(raw)]) > 0
    assert fit_noise([clip], lambda raw: [float(raw.psnr.sum())]) == 0


def test_footage_that_never_stands_still_has_no_noise() -> None:
    clip = Footage(film([4 + index for index in range(40)]), raw_scores([2.0] * 36))
    assert fit_noise([clip], lambda raw: []) == 0
