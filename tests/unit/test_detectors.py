"""The detectors: what each sees, and what it says it cannot see. Nonconformity is high where it is anomalous."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import FPS, LANE, PLACE, times_tile, walkers, with_tile

from stmae.scoring.detectors.appearance import AppearanceDetector
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.detectors.persistence import PersistenceDetector
from stmae.scoring.detectors.prediction import PredictionDetector
from stmae.scoring.raw import RawScores

NORMAL = [walkers(600, seed) for seed in range(2)]
ROW, COLUMN = 3, 8
Velocity = tuple[float, float]


def flowing(frames: int, moves: dict[tuple[int, int], Velocity]) -> RawScores:
    """Returns raw scores in which the given tiles (row, column) move at a velocity, and no others do."""
    flow = np.zeros((frames, 2, 16, 16), np.float32)
    for (row, column), velocity in moves.items():
        flow[:, :, row, column] = velocity
    return with_flow(flow)


def with_flow(flow: np.ndarray) -> RawScores:
    return dataclasses.replace(walkers(len(flow), seed=0), flow_tiles=flow.astype(np.float32))


def lane(row: int, *velocities: Velocity) -> list[RawScores]:
    """Returns footage in which all tiles of a row move at each of the velocities for 100 frames."""
    return [flowing(100, {(row, column): velocity for column in range(16)}) for velocity in velocities]


def motion_of(clips: Sequence[RawScores]) -> MotionDetector:
    return MotionDetector.fit([clip.flow_tiles for clip in clips], FPS)


def rarity(detector: MotionDetector, row: int, velocity: Velocity) -> float:
    """Returns the nonconformity of a single tile that moves on and on."""
    return float(detector.score(flowing(1, {(row, COLUMN): velocity}), FPS)[0, row, COLUMN])


WALKERS = motion_of(NORMAL)
CROWD = motion_of([with_flow(np.random.default_rng(0).normal(0, 1, (50, 2, 16, 16)))])
"""People who go anywhere, at any speed."""


def test_motion_faster_than_anything_seen_is_the_rarer_the_faster() -> None:
    detector = motion_of(lane(ROW, (1.0, 0.0), (-1.0, 0.0)))
    normal, *faster = (rarity(detector, ROW, (speed, 0.0)) for speed in (1.0, 3.0, 6.0, 12.0))
    assert normal < 2
    assert np.diff([normal, *faster]).min() > 0.5


@settings(max_examples=40)
@given(st.booleans(), st.floats(-math.pi, math.pi), st.floats(0.25, 20), st.floats(1.01, 5))
def test_rarity_never_falls_with_the_speed_whatever_the_direction(
    crowd: bool, angle: float, speed: float, ratio: float
) -> None:
    detector = CROWD if crowd else WALKERS
    slow, fast = (
        rarity(detector, LANE, (each * math.cos(angle), each * math.sin(angle))) for each in (speed, ratio * speed)
    )
    assert fast >= slow - 1e-5  # flow is stored in single precision


def test_motion_against_the_stream_is_rare_where_all_go_one_way_and_only_there() -> None:
    one_way, both_ways = 2, 13
    detector = motion_of([*lane(one_way, (1.0, 0.0)), *lane(both_ways, (1.0, 0.0), (-1.0, 0.0))])
    assert rarity(detector, one_way, (-1.0, 0.0)) > rarity(detector, one_way, (1.0, 0.0)) + 1
    there, back = (rarity(detector, both_ways, (x, 0.0)) for x in (1.0, -1.0))
    assert there == pytest.approx(back, abs=0.2)


@settings(max_examples=40)
@given(st.floats(-math.pi, math.pi), st.floats(0.25, 20))
def test_where_directions_do_not_count_a_speed_is_as_rare_whichever_way(angle: float, speed: float) -> None:
    speeds = MotionDetector.fit([clip.flow_tiles for clip in lane(ROW, (1.0, 0.0))], FPS, direction=False)
    along, aside = (rarity(speeds, ROW, (speed * math.cos(way), speed * math.sin(way))) for way in (0.0, angle))
    assert along > 2 or speed < 2
    assert aside == pytest.approx(along, abs=1e-4)  # flow is stored in single precision


def test_one_passer_by_does_not_make_a_tile_one_way_but_many_do() -> None:
    """People go both ways elsewhere."""
    both_ways = lane(LANE, (1.0, 0.0), (-1.0, 0.0))
    few, many = (motion_of([*both_ways, flowing(frames, {(ROW, COLUMN): (1.0, 0.0)})]) for frames in (30, 1000))
    there, back = ([rarity(each, ROW, (x, 0.0)) for each in (few, many)] for x in (1.0, -1.0))
    assert back[0] < there[0] + 1
    assert back[1] > there[1] + 3


def test_a_tile_knows_what_its_neighbours_saw() -> None:
    """Nobody was seen in one tile of a lane: to walk with the others is normal there too, and against them is not."""
    clip = flowing(200, {(ROW, column): (1.0, 0.0) for column in range(16) if column != COLUMN})
    detector = motion_of([clip, *lane(LANE, (1.0, 0.0), (-1.0, 0.0))])
    there, back = (rarity(detector, ROW, (x, 0.0)) for x in (1.0, -1.0))
    assert back > there + 1


def test_a_lane_that_nobody_was_seen_in_is_judged_by_the_view_as_a_whole() -> None:
    detector = motion_of(lane(2, (1.0, 0.0)))
    crossed, never_crossed = rarity(detector, 2, (1.0, 0.0)), rarity(detector, 13, (1.0, 0.0))
    assert never_crossed == pytest.approx(crossed, abs=0.1)
    assert rarity(detector, 13, (6.0, 0.0)) > never_crossed + 2


def test_what_stands_still_has_no_rarity_even_where_nothing_was_ever_seen() -> None:
    for detector in (motion_of([]), motion_of(lane(ROW, (1.0, 0.0)))):
        assert not detector.score(flowing(3, {(ROW, COLUMN): (0.1, 0.1)}), FPS).any()
    assert math.isfinite(rarity(motion_of([]), ROW, (2.0, 0.0)))


def test_motion_does_not_see_what_moves_as_others_do() -> None:
    anomalous = with_tile(walkers(100, 5), "error_tiles", slice(None), 0.1, (LANE, 9))
    np.testing.assert_array_equal(WALKERS.score(anomalous, FPS), WALKERS.score(walkers(100, 5), FPS))


def test_rarity_lies_at_its_frame_and_tile() -> None:
    flow = np.zeros((3, 2, 16, 16))
    flow[1, :, ROW, COLUMN] = (9.0, 0.0)
    found = motion_of(lane(ROW, (1.0, 0.0))).score(with_flow(flow), FPS)
    assert np.argwhere(found).tolist() == [[1, ROW, COLUMN]]


def test_legs_that_swing_are_averaged_over_a_step() -> None:
    swinging = np.zeros((60, 2, 16, 16))
    swinging[:, 0, ROW, COLUMN] = 1.0 + 0.7 * np.sin(np.arange(60) * 2 * np.pi / 5)
    detector = motion_of(lane(ROW, (1.0, 0.0)))
    found = detector.score(with_flow(swinging), FPS)[10:50, ROW, COLUMN]
    assert found == pytest.approx(rarity(detector, ROW, (1.0, 0.0)), abs=0.3)
    assert rarity(detector, ROW, (1.7, 0.0)) > found.max() + 1, "a leg at its fastest"


def test_who_comes_the_other_way_is_not_averaged_with_who_goes() -> None:
    """Two walkers take turns at a tile, and at times nobody is there, where flow errs a little."""
    flow = np.zeros((60, 2, 16, 16))
    flow[::3, 0, ROW, COLUMN], flow[1::3, 0, ROW, COLUMN], flow[2::3, 0, ROW, COLUMN] = 1.0, -2.0, 0.1
    detector = motion_of(lane(ROW, (1.0, 0.0)))
    found = detector.score(with_flow(flow), FPS)[:, ROW, COLUMN]
    assert found[::3] == pytest.approx(rarity(detector, ROW, (1.0, 0.0)))
    assert found[1::3] == pytest.approx(rarity(detector, ROW, (-2.0, 0.0)))
    assert not found[2::3].any()


@pytest.mark.parametrize("direction", [True, False])
def test_a_detector_without_a_clip_equals_one_that_never_saw_it(direction: bool) -> None:
    flows = [walkers(80, seed).flow_tiles for seed in range(3)]
    all_clips, others = (MotionDetector.fit(each, FPS, direction=direction) for each in (flows, flows[:2]))
    raw = walkers(50, 7)
    np.testing.assert_array_equal(all_clips.without(flows[2:], FPS).score(raw, FPS), others.score(raw, FPS))


def test_an_error_far_above_the_normal_error_of_its_tile_is_anomalous() -> None:
    detector = PredictionDetector.fit(NORMAL, FPS)
    normal = detector.score(walkers(100, 5), FPS)
    large = detector.score(with_tile(walkers(100, 5), "error_tiles", slice(50, 60), 0.05), FPS)
    assert large[50:60][:, *PLACE].min() > normal.max() + 2
    np.testing.assert_array_equal(np.delete(large, slice(50, 60), axis=0), np.delete(normal, slice(50, 60), axis=0))


def test_a_tile_that_always_errs_much_is_not_anomalous_for_it() -> None:
    """The clock of a recorder never looks as predicted."""
    clips = [times_tile(walkers(300, seed), "error_tiles", slice(None), 1000) for seed in range(3)]
    found = PredictionDetector.fit(clips[:2], FPS).score(clips[2], FPS)
    assert found[:, *PLACE].max() < 2


def test_a_little_error_is_normal_even_where_there_never_was_any() -> None:
    clips = [times_tile(walkers(300, seed), "error_tiles", slice(None), 0.01) for seed in range(3)]
    detector = PredictionDetector.fit(clips[:2], FPS)
    little, large = (
        detector.score(with_tile(clips[2], "error_tiles", slice(None), error), FPS)[:, *PLACE] for error in (1e-4, 0.05)
    )
    assert little.max() < 0.5
    assert large.min() > 5


def test_prediction_does_not_see_what_is_easy_to_predict() -> None:
    detector = PredictionDetector.fit(NORMAL, FPS)
    runs = with_tile(walkers(100, 5), "flow_tiles", slice(None), (9.0, 0.0))
    np.testing.assert_array_equal(detector.score(runs, FPS), detector.score(walkers(100, 5), FPS))


def test_a_perfect_prediction_has_a_finite_nonconformity() -> None:
    perfect = with_tile(walkers(9, 5), "error_tiles", slice(None), 0.0)
    assert np.isfinite(PredictionDetector.fit(NORMAL, FPS).score(perfect, FPS)).all()
    assert np.isfinite(PredictionDetector.fit([perfect], FPS).score(perfect, FPS)).all()


def test_a_feature_unlike_the_bank_is_anomalous_where_something_moves_and_nothing_where_it_is_still() -> None:
    unlike = with_tile(walkers(100, 5), "feature_tiles", slice(None), 0.9)
    rides = with_tile(unlike, "flow_tiles", slice(None), (1.0, 0.0))
    standing, riding = (AppearanceDetector().score(raw, FPS) for raw in (unlike, rides))
    assert not standing[:, *PLACE].any()
    assert riding[:, *PLACE] == pytest.approx(0.9)
    assert riding[:, *PLACE].min() > standing.max() + 0.3


def test_who_looks_unlike_the_bank_for_a_frame_is_turning_and_who_does_for_a_step_is_anomalous() -> None:
    walks = with_tile(walkers(100, 5), "flow_tiles", slice(None), (1.0, 0.0))
    walks = with_tile(walks, "feature_tiles", slice(None), 0.2)
    turns, rides = (with_tile(walks, "feature_tiles", frames, 0.9) for frames in (slice(50, 51), slice(40, 61)))
    turning, riding = (AppearanceDetector().score(raw, FPS)[50][PLACE] for raw in (turns, rides))
    assert turning < 0.3
    assert riding == pytest.approx(0.9)


def test_each_keeps_the_look_of_their_own_where_two_go_through_a_tile_in_turn() -> None:
    raw = walkers(60, 5)
    for first, velocity, look in ((0, (1.0, 0.0), 0.2), (1, (-2.0, 0.0), 0.8)):
        raw = with_tile(raw, "flow_tiles", slice(first, None, 2), velocity)
        raw = with_tile(raw, "feature_tiles", slice(first, None, 2), look)
    found = AppearanceDetector().score(raw, FPS)[:, *PLACE]
    assert found[::2] == pytest.approx(0.2)
    assert found[1::2] == pytest.approx(0.8)


def test_appearance_does_not_see_a_normal_thing_at_the_wrong_speed() -> None:
    walks, runs = (with_tile(walkers(60, 5), "flow_tiles", slice(None), velocity) for velocity in ((1.0, 0), (9.0, 0)))
    np.testing.assert_allclose(AppearanceDetector().score(runs, FPS), AppearanceDetector().score(walks, FPS))


def present(start: int, stop: int, frames: int = 300) -> RawScores:
    """Returns raw scores with something at PLACE, over which nobody walks, in frames [start, stop)."""
    return with_tile(walkers(frames, 5), "location_tiles", slice(start, stop), 40.0)


def test_what_stays_for_6_seconds_is_anomalous_and_who_passes_in_2_seconds_is_not() -> None:
    detector = PersistenceDetector.fit(NORMAL, FPS)
    absent, passes, stays = (
        detector.score(present(100, stop), FPS)[:, *PLACE].max()
        for stop in (100, 100 + int(2 * FPS), 100 + int(6 * FPS))
    )
    assert passes < absent + 1
    assert stays > absent + 5


@pytest.mark.parametrize("fps", [2.0, 4.0, 8.0, 10.0, 25.0])
def test_what_stays_is_seen_4_5_seconds_after_it_came_until_1_second_before_it_goes(fps: float) -> None:
    frames, came, went = round(20 * fps), round(6 * fps), round(16 * fps)
    clip = with_tile(walkers(frames, 5), "location_tiles", slice(None), 1.0)
    detector = PersistenceDetector.fit([clip], fps)
    found = detector.score(with_tile(clip, "location_tiles", slice(came, went), 40.0), fps)[:, *PLACE]
    seen = np.flatnonzero(found > 5)
    assert seen.tolist() == list(range(came + int(4.5 * fps), went - int(fps)))


def test_nothing_is_known_within_the_first_4_5_seconds_of_a_stream() -> None:
    detector = PersistenceDetector.fit(NORMAL, FPS)
    found = detector.score(present(0, 300), FPS)[:, *PLACE]
    assert found[: int(4.5 * FPS)].max() < detector.score(walkers(300, 5), FPS)[100:].min()
    assert found[int(4.5 * FPS) : -int(FPS)].min() > 5


def test_persistence_does_not_see_what_stays_where_something_normally_stays() -> None:
    parked = [with_tile(walkers(300, seed), "location_tiles", slice(None), 40.0) for seed in range(3)]
    found = PersistenceDetector.fit(parked[:2], FPS).score(parked[2], FPS)
    assert found[60:-60, *PLACE].max() < 1


def test_the_end_of_a_stream_is_no_more_anomalous_than_its_middle() -> None:
    detector = PersistenceDetector.fit(NORMAL, FPS)
    found = np.stack([detector.score(walkers(150, seed), FPS) for seed in range(10, 16)])
    assert found[:, -10:].mean() == pytest.approx(found[:, 60:100].mean(), abs=0.3)


def test_a_deviation_is_counted_in_the_spread_of_its_tile_and_bounded() -> None:
    """The distance at a tile is the same for a long time, so that what lasts is what is."""
    random = np.random.default_rng(0)
    spread = np.linspace(0.1, 0.5, 256).reshape(16, 16)
    clips = [
        dataclasses.replace(walkers(1, 0), location_tiles=np.exp(spread * random.normal(size=(1, 16, 16))))
        for _ in range(4000)
    ]
    detector = PersistenceDetector.fit(clips, FPS)

    def score(log_distance: np.ndarray) -> np.ndarray:
        still = np.repeat(np.exp(log_distance)[None], 100, axis=0).astype(np.float32)
        return detector.score(dataclasses.replace(walkers(100, 0), location_tiles=still), FPS)[60]

    high = spread > np.median(spread)
    assert score(3 * spread)[high] == pytest.approx(3, rel=0.1)
    assert score(3 * spread)[0, 0] == pytest.approx(1, rel=0.1), "a calm tile has the spread of the median one, 0.3"
    assert score(np.full((16, 16), 50.0)).max() == 30
    assert score(np.full((16, 16), -50.0)).min() == -30


def test_a_view_in_which_nothing_ever_changes_has_finite_deviations() -> None:
    still = with_tile(walkers(100, 0), "location_tiles", slice(None), 0.5, (slice(None), slice(None)))
    changed = with_tile(still, "location_tiles", slice(None), 0.6)
    assert np.isfinite(PersistenceDetector.fit([still], FPS).score(changed, FPS)).all()
