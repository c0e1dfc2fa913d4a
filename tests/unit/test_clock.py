"""Times from time stamps, and samples at a fixed rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae.video.clock import Clock
from stmae.video.sampling import Sampler, is_slower

STEP = 0.1
EVEN = [round(i * STEP, 6) for i in range(40)]


def times(stamps: list[float | None], step: float = STEP) -> list[float]:
    frames = [(stamp, number) for number, stamp in enumerate(stamps)]
    found = list(Clock[int](step).times(frames))
    assert [number for _, number in found] == list(range(len(stamps)))
    return [time_s for time_s, _ in found]


def test_even_stamps_are_the_times_from_0() -> None:
    assert times([3600 + stamp for stamp in EVEN]) == pytest.approx(EVEN)


@pytest.mark.parametrize("at", [0, 1, 2, 20, 38, 39])
@pytest.mark.parametrize("odd", [319.0, -2.0, 0.0])
def test_one_wild_stamp_neither_shifts_nor_reorders_the_rest(at: int, odd: float) -> None:
    stamps: list[float | None] = [100 + stamp for stamp in EVEN]
    stamps[at] = 100 + odd if odd else stamps[max(at - 1, 0)]
    clock = Clock[int](STEP)
    found = [time_s for time_s, _ in clock.times((stamp, 0) for stamp in stamps)]
    assert found == pytest.approx(EVEN, abs=STEP * 1.01 if at == 39 else 1e-6)
    assert clock.odd == (0 if stamps[at] == 100 + EVEN[at] else 1)


def test_several_wild_stamps_one_after_the_other_are_replaced_too() -> None:
    stamps = [*EVEN[:20], 500.0, 3.0, -7.0, *EVEN[23:]]
    assert times(stamps) == pytest.approx(EVEN)


@pytest.mark.parametrize("seconds", [0.8, 0.9, 0.90001, 1.01, 1.5, 30.0, 7000.0])
def test_a_gap_that_later_stamps_agree_with_is_a_gap(seconds: float) -> None:
    stamps = EVEN[:20] + [stamp + seconds for stamp in EVEN[20:]]
    assert times(stamps) == pytest.approx(stamps)


def test_stamps_that_start_again_go_on() -> None:
    clock = Clock[int](STEP)
    stamps = [50 + stamp for stamp in EVEN[:20]] + [stamp - EVEN[20] for stamp in EVEN[20:]]
    assert [time_s for time_s, _ in clock.times((stamp, 0) for stamp in stamps)] == pytest.approx(EVEN)
    assert (clock.odd, clock.restarts) == (0, 1)


def test_a_muxers_way_to_write_a_stamp_that_ran_back_is_seen_through() -> None:
    assert times([*EVEN[:20], EVEN[19] + 0.001, *EVEN[21:]]) == pytest.approx(EVEN)


def test_frames_without_stamps_follow_at_the_usual_distance() -> None:
    assert times([None] * 40) == pytest.approx(EVEN)
    assert times([*EVEN[:20], None, None, *EVEN[22:]]) == pytest.approx(EVEN)


def test_a_rate_that_changes_is_followed() -> None:
    stamps = EVEN[:20] + [2 + 0.5 * i for i in range(20)]
    assert times(stamps) == pytest.approx(stamps)
    stamps = [2.0 * i for i in range(20)]
    assert times(stamps) == pytest.approx(stamps)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60), st.floats(0.001, 10))
def test_times_strictly_increase_from_0_whatever_the_stamps(stamps: list[float | None], step: float) -> None:
    found = times(stamps, step)
    assert found[:1] in ([], [0.0])
    assert all(b > a for a, b in itertools.pairwise(found))


def taken(native: float, fps: float, count: int = 600, jitter: float = 0.0) -> list[int]:
    random, sampler = np.random.default_rng(0), Sampler(fps)
    stamps = np.arange(count) / native + jitter / native * random.uniform(-1, 1, count)
    return [number for number, time_s in enumerate(stamps) if sampler.takes(float(time_s))]


@pytest.mark.parametrize("native", [10.0, 12.5, 15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0])
def test_samples_come_at_the_rate_and_near_their_times(native: float) -> None:
    samples = taken(native, 10.0)
    assert len(samples) == pytest.approx(600 / native * 10, abs=1)
    assert np.abs(np.array(samples) / native - np.arange(len(samples)) / 10).max() <= 1.001 / native


def test_footage_of_the_rate_itself_loses_no_frame_though_it_jitters() -> None:
    assert taken(10.0, 10.0, jitter=0.14) == list(range(600))


def test_footage_whose_stamps_jitter_about_the_edge_between_two_samples_loses_no_frame() -> None:
    sampler = Sampler(10.0)
    assert all(sampler.takes(0.07 + number / 10 + 0.001 * (-1) ** number) for number in range(600))


def test_footage_with_fewer_frames_is_used_whole_and_is_slower() -> None:
    assert taken(4.0, 10.0) == list(range(600))
    assert is_slower(9.0, 10.0)
    assert not is_slower(9.99, 10.0)


def test_samples_of_two_cuts_of_a_stream_are_those_of_the_whole() -> None:
    assert taken(25.0, 10.0, 500) == taken(25.0, 10.0, 250) + [250 + number for number in taken(25.0, 10.0, 250)]
