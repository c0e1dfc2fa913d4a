"""What is usual at a tile: ranges, velocities, tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stmae.scoring.usual import QUANTILES, Tail, Usual, Velocities, flat, steady

values = arrays(np.float64, st.integers(2, 200), elements=st.floats(-50, 50))
ROW, COLUMN = 3, 8
TILE = 16 * ROW + COLUMN


def flow(frames: int, moves: dict[tuple[int, int], tuple[float, float]]) -> np.ndarray:
    """Flow tiles [F,2,16,16] in which the given tiles (row, column) move at a velocity (x, y), and nothing else."""
    tiles = np.zeros((frames, 2, 16, 16), np.float32)
    for (row, column), velocity in moves.items():
        tiles[:, :, row, column] = velocity
    return tiles


def path(row: int, *velocities: tuple[float, float]) -> list[np.ndarray]:
    """Footage in which a whole row of tiles is walked at each of the velocities for 100 frames."""
    return [flow(100, {(row, column): velocity for column in range(16)}) for velocity in velocities]


def surprise(velocities: Velocities, row: int, velocity: tuple[float, float]) -> float:
    return float(velocities.surprise(flow(1, {(row, COLUMN): velocity}))[0, 16 * row + COLUMN])


def test_a_deviation_is_counted_in_the_spreads_of_its_tile_and_bounded() -> None:
    random = np.random.default_rng(0)
    scale = np.linspace(1, 5, 256)
    usual = Usual.fit(7 + scale * random.normal(size=(4000, 256)))
    assert usual.median == pytest.approx(np.full(256, 7), abs=0.5)
    high = usual.spread > np.median(usual.spread)
    assert usual.spread[high] == pytest.approx(scale[high], rel=0.1)
    assert usual.spread.min() > 0.98 * np.median(scale), "a calm tile does not alarm on a trifle"
    assert usual.deviation(usual.median + 3 * usual.spread) == pytest.approx(np.full(256, 3))
    assert usual.deviation(np.full(256, 1e9)).max() == -usual.deviation(np.full(256, -1e9)).min() == 30


def test_a_scene_without_variation_has_finite_deviations() -> None:
    assert np.isfinite(Usual.fit(np.full((10, 256), 0.5)).deviation(np.full((1, 256), 0.6))).all()


def test_legs_that_swing_are_no_velocity() -> None:
    swing = 0.4 * np.sin(np.arange(40) * 2 * np.pi / 8)
    walker = flow(40, {(ROW, COLUMN): (1.0, 0.0)})
    walker[:, 0, ROW, COLUMN] += swing
    walker[:, 1, ROW, COLUMN] += swing
    went = steady(walker, walker, 5.0)
    assert not went[..., np.arange(16) != COLUMN].any()
    assert went[10:30, :, ROW, COLUMN] == pytest.approx(np.tile([1.0, 0.0], (20, 1)), abs=0.02)


def test_who_comes_the_other_way_is_someone_else() -> None:
    """Two walkers take turns at a tile, and at times nobody is there, where flow errs a little."""
    tiles = flow(60, {})
    tiles[::3, 0, ROW, COLUMN], tiles[1::3, 0, ROW, COLUMN] = 1.0, -2.0
    erring = tiles.copy()
    erring[2::3, 0, ROW, COLUMN] = 0.1
    assert steady(erring, erring, 5.0) == pytest.approx(tiles, abs=1e-5)


def test_each_keeps_what_is_measured_of_them_where_two_go_through_a_tile_in_turn() -> None:
    tiles, looks = flow(60, {}), np.zeros((60, 1, 16, 16))
    tiles[::2, 0, ROW, COLUMN], tiles[1::2, 0, ROW, COLUMN] = 1.0, -2.0
    looks[::2, :, ROW, COLUMN], looks[1::2, :, ROW, COLUMN] = 0.2, 0.8
    assert steady(looks, tiles, 5.0) == pytest.approx(looks)


@given(st.integers(0, 40), st.floats(0.3, 20))
def test_what_goes_on_as_it_went_keeps_its_velocity(frames: int, sigma: float) -> None:
    tiles = flow(frames, {(ROW, COLUMN): (1.5, -0.5), (ROW, 2): (0.05, 0.05)})
    moving = np.hypot(tiles[:, :1], tiles[:, 1:]) > 0.2
    assert steady(tiles, tiles, sigma) == pytest.approx(np.where(moving, tiles, 0), abs=1e-5)


def test_faster_than_anything_seen_is_odder_and_twice_as_fast_odder_still() -> None:
    velocities = Velocities.fit(path(ROW, (1.0, 0.0), (-1.0, 0.0)))
    usual, *faster = (surprise(velocities, ROW, (speed, 0.0)) for speed in (1.0, 3.0, 6.0, 12.0))
    assert usual < 2
    assert np.diff([usual, *faster]).min() > 0.5


@given(st.integers(0, 7), st.floats(-math.pi, math.pi), st.floats(0.25, 20), st.floats(1.01, 5))
def test_the_faster_the_odder_whatever_the_direction(seed: int, angle: float, speed: float, ratio: float) -> None:
    random = np.random.default_rng(seed)
    velocities = Velocities.fit([random.normal(0, 1, (50, 2, 16, 16))])
    slow, fast = (
        surprise(velocities, ROW, (each * math.cos(angle), each * math.sin(angle))) for each in (speed, ratio * speed)
    )
    assert fast >= slow - 1e-5  # flow is stored in single precision


def test_the_other_way_on_a_one_way_path_is_odd_there_and_not_elsewhere() -> None:
    one_way, both_ways = 2, 13
    velocities = Velocities.fit([*path(one_way, (1.0, 0.0)), *path(both_ways, (1.0, 0.0), (-1.0, 0.0))])
    assert surprise(velocities, one_way, (-1.0, 0.0)) > surprise(velocities, one_way, (1.0, 0.0)) + 1
    there, back = (surprise(velocities, both_ways, (x, 0.0)) for x in (1.0, -1.0))
    assert there == pytest.approx(back, abs=0.2)


def test_one_passer_by_does_not_make_a_tile_one_way_but_many_do() -> None:
    """People go both ways elsewhere."""
    both_ways = path(12, (1.0, 0.0), (-1.0, 0.0))
    few, many = (Velocities.fit([*both_ways, flow(frames, {(ROW, COLUMN): (1.0, 0.0)})]) for frames in (30, 1000))
    there, back = ([surprise(each, ROW, (x, 0.0)) for each in (few, many)] for x in (1.0, -1.0))
    assert back[0] < there[0] + 1
    assert back[1] > there[1] + 3


def test_speed_is_a_matter_of_the_row_and_direction_one_of_the_tile() -> None:
    """In one row people run on the left half and walk on the right half, all to the right; in another they walk."""
    clip = flow(200, {(ROW, column): (4.0 if column < 4 else 1.0, 0.0) for column in range(16)})
    velocities = Velocities.fit([clip, *path(12, (1.0, 0.0))])
    walking, running, back = (surprise(velocities, ROW, (x, 0.0)) for x in (1.0, 4.0, -1.0))
    assert walking < running < walking + 2
    assert back > running + 2
    assert surprise(velocities, 12, (4.0, 0.0)) > running + 2


def test_a_tile_that_nobody_crossed_borrows_from_the_whole_view() -> None:
    velocities = Velocities.fit(path(2, (1.0, 0.0)))
    crossed, borrowed = surprise(velocities, 2, (1.0, 0.0)), surprise(velocities, 13, (1.0, 0.0))
    assert borrowed == pytest.approx(crossed, abs=0.1)
    assert surprise(velocities, 13, (6.0, 0.0)) > borrowed + 2


def test_what_does_not_move_has_no_surprise_even_where_nothing_was_seen() -> None:
    for velocities in (Velocities.fit([]), Velocities.fit(path(ROW, (1.0, 0.0)))):
        assert not velocities.surprise(flow(3, {(ROW, COLUMN): (0.1, 0.1)})).any()
    assert np.isfinite(Velocities.fit([]).surprise(flow(1, {(ROW, COLUMN): (2.0, 0.0)}))).all()


def test_a_surprise_lies_at_its_frame_and_tile() -> None:
    tiles = flow(3, {})
    tiles[1, :, ROW, COLUMN] = (9.0, 0.0)
    assert np.argwhere(Velocities.fit(path(ROW, (1.0, 0.0))).surprise(tiles)).tolist() == [[1, TILE]]


@given(values, arrays(np.float64, 20, elements=st.floats(-200, 200)))
def test_surprise_never_falls_as_a_value_rises(normal: np.ndarray, asked: np.ndarray) -> None:
    surprises = Tail.fit(normal, 2.0).surprise(np.sort(asked))
    assert np.isfinite(surprises).all()
    assert (np.diff(surprises) >= 0).all()
    assert surprises.min() >= math.log(2)


def test_a_surprise_is_minus_the_log_of_the_share_that_is_as_odd() -> None:
    normal = np.random.default_rng(1).exponential(size=200_000)
    tail = Tail.fit(normal, 1e9)
    asked = np.quantile(normal, QUANTILES)
    assert tail.surprise(asked) == pytest.approx(-np.log(1 - np.array(QUANTILES)))
    assert tail.surprise(np.array([12.0]))[0] == pytest.approx(12, rel=0.15), "beyond what was seen"


def test_of_few_clips_a_tail_is_believed_less_far() -> None:
    normal = np.random.default_rng(1).exponential(size=200_000)
    few, many = (Tail.fit(normal, support).surprise(np.array([6.0, 8.0, 12.0, 24.0])) for support in (0.5, 50.0))
    assert few[0] == many[0], "within what was seen they agree"
    assert (few[1:] < many[1:]).all()
    assert (np.diff(few) > 0).all(), "yet what is odder stays odder"


def test_values_that_are_all_alike_have_the_surprise_of_the_usual() -> None:
    tail = Tail.fit(np.zeros(100), 1e9)
    assert tail.surprise(np.array([0.0]))[0] == pytest.approx(math.log(2))
    assert tail.surprise(np.array([1.0]))[0] > 7


def test_flat_maps_are_in_rows_and_double() -> None:
    maps = np.arange(512, dtype=np.float32).reshape(2, 16, 16)
    assert flat(maps).dtype == np.float64
    assert flat(maps)[1, 17] == maps[1, 1, 1]
