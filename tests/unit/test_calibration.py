"""Calibration: the combined score of footage whose oddity is known, and its way through JSON."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from evidence import FPS, PLACE, calm, fit, with_tile

from stmae.scoring.calibration import Calibration
from stmae.scoring.combine import flow_magnitude
from stmae.scoring.norm import KINDS, Sighting
from stmae.scoring.raw import RawScores

NORMAL = [calm(600, 1), calm(600, 2)]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit(NORMAL)


def test_events_start_above_what_a_hundredth_of_normal_frames_exceed(calibration: Calibration) -> None:
    scores = calibration.score(calm(2000, 3), FPS)
    assert (scores > calibration.enter).mean() == pytest.approx(0.01, abs=0.008)
    assert (scores > calibration.exit).mean() == pytest.approx(0.1, abs=0.03)


def test_training_clips_say_how_high_normal_footage_scores() -> None:
    """Nobody hurried in the two clips that were held out; in the others somebody did, each time elsewhere."""

    def hurrying(seed: int) -> RawScores:
        column = np.random.default_rng(seed).integers(16)
        flow = calm(300, seed).flow_tiles.copy()
        flow[100:200, :, 12, column] = (1.8, 0.0)
        return dataclasses.replace(calm(300, seed), flow_tiles=flow)

    heldout, others = [calm(300, 1), calm(300, 2)], [hurrying(seed) for seed in range(3, 9)]
    of_two, of_all, next_one = fit(heldout), fit(heldout, training=others), hurrying(10)
    assert (of_two.score(next_one, FPS) > of_two.enter).mean() > 0.3
    assert (of_all.score(next_one, FPS) > of_all.enter).mean() < 0.1
    assert of_all.enter < of_all.score(with_tile(calm(300, 4), "flow_tiles", slice(None), (6.0, 0.0)), FPS).max()


def test_of_normal_tiles_the_share_with_a_surprise_is_what_the_surprise_says(calibration: Calibration) -> None:
    """Of those that move, for what is asked of them alone."""
    clip = calm(600, 3)
    surprises = calibration.surprises(clip, FPS)
    moves = clip.flow_tiles.any(axis=1)
    assert surprises.keys() == set(KINDS)
    for kind, tiles in surprises.items():
        assert tiles.shape == (600, 16, 16)
        asked = moves if kind == "appearance" else np.ones_like(moves)
        assert (tiles[asked] >= -math.log(0.01)).mean() == pytest.approx(0.01, abs=0.005), kind
        assert not tiles[~asked].any()


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [("prediction", "error_tiles", 0.1), ("motion", "flow_tiles", (6.0, 0.0)), ("presence", "location_tiles", 40.0)],
)
def test_each_kind_of_oddity_is_seen_where_and_when_it_is(kind: str, name: str, value: float) -> None:
    """In a single tile; where only two clips are known, in four, unless it moves."""
    calibration, of_two = fit([*NORMAL, calm(600, 11), calm(600, 12)]), fit(NORMAL)
    odd = with_tile(calm(300, 4), name, slice(100, 200), value)
    tiles = getattr(odd, name).copy()
    row, column = PLACE
    tiles[100:200, ..., row : row + 2, column : column + 2] = tiles[150, ..., row, column][..., None, None]
    larger = dataclasses.replace(odd, **{name: tiles})
    tile_map = calibration.tile_map(odd, FPS)
    assert np.unravel_index(tile_map[150].argmax(), (16, 16)) == PLACE
    at_place = {each: tiles[150][PLACE] for each, tiles in calibration.surprises(odd, FPS).items()}
    assert max(at_place, key=lambda each: at_place[each]) == kind
    scores, before = calibration.score(odd, FPS), calibration.score(calm(300, 4), FPS)
    assert scores[150] > calibration.enter > np.median(before)
    assert (of_two.score(odd, FPS)[150] > of_two.enter) == (kind == "motion")
    assert of_two.score(larger, FPS)[150] > of_two.enter + 5
    # Not exactly: the condition of a video and, for distances, what are trifles in it, medians, are known from all of
    # its frames.
    np.testing.assert_allclose(scores[:60], before[:60], rtol=0, atol=2e-3 if kind == "presence" else 1e-3)


def test_what_stays_is_odd_and_a_passer_by_of_a_second_is_not(calibration: Calibration) -> None:
    passed = with_tile(calm(300, 5), "location_tiles", slice(100, 110), 40.0)
    stayed = with_tile(calm(300, 5), "location_tiles", slice(100, 200), 40.0)
    usual, passing, staying = (
        calibration.surprises(one, FPS)["presence"][:, *PLACE].max() for one in (calm(300, 5), passed, stayed)
    )
    assert passing < usual + 1
    assert staying > passing + 5


def test_what_is_odd_in_two_ways_is_odder_than_what_is_in_one(calibration: Calibration) -> None:
    fast = with_tile(calm(300, 4), "flow_tiles", slice(100, 200), (3.0, 0.0))
    both = with_tile(fast, "error_tiles", slice(100, 200), 1e-3)
    assert calibration.tile_map(both, FPS)[150][PLACE] > calibration.tile_map(fast, FPS)[150][PLACE] + 1


def test_what_moves_and_looks_like_nothing_that_moves_is_odd_and_what_stands_there_is_not() -> None:
    """A pavement looks like no walker either, and less so than a cyclist."""

    def paved(seed: int) -> RawScores:
        clip = calm(300, seed)
        return dataclasses.replace(
            clip, feature_tiles=np.where(clip.flow_tiles.any(axis=1), clip.feature_tiles, 5 * clip.feature_tiles)
        )

    calibration = fit([paved(1), paved(2)])
    moving = with_tile(paved(4), "flow_tiles", slice(100, 200), (1.0, 0.0))
    standing, walking, riding = (
        (calibration.surprises(one, FPS)["appearance"][150][PLACE], calibration.tile_map(one, FPS)[150][PLACE])
        for one in (paved(4), *(with_tile(moving, "feature_tiles", slice(100, 200), look) for look in (0.2, 0.8)))
    )
    assert standing[0] == 0
    assert walking[0] < 1
    assert riding[0] > 7
    assert riding[1] > walking[1] + 2


def test_who_looks_odd_for_a_frame_is_turning_and_who_does_for_a_step_is_odd(calibration: Calibration) -> None:
    walks = with_tile(calm(300, 4), "flow_tiles", slice(100, 200), (1.0, 0.0))
    usual, turning, riding = (
        calibration.surprises(with_tile(walks, "feature_tiles", frames, 0.8), FPS)["appearance"][150][PLACE]
        for frames in (slice(0), slice(150, 151), slice(140, 161))
    )
    assert turning < usual + 3
    assert riding > usual + 6


def test_where_hardly_anything_moved_all_tiles_say_how_what_moves_looks() -> None:
    """Of a few tiles nothing is known of how looks vary: what moves would be odd before it is."""

    def empty(seed: int) -> RawScores:
        clip = calm(300, seed)
        flow = clip.flow_tiles.copy()
        flow[5:] = 0
        return dataclasses.replace(clip, flow_tiles=flow)

    calibration = fit([empty(1), empty(2)])
    walks = with_tile(empty(3), "flow_tiles", slice(100, 200), (1.0, 0.0))
    assert calibration.surprises(walks, FPS)["appearance"].max() < 7


def test_of_normal_tiles_few_score_high_and_the_higher_the_fewer(calibration: Calibration) -> None:
    """Markov's inequality on e-values, whose mean over normal tiles is at most 1: a share of exp(-x) at most has x."""
    tiles = np.concatenate([calibration.tile_map(calm(600, seed), FPS) for seed in (3, 4, 5)])
    assert np.exp(tiles).mean() < 1
    assert all((tiles >= x).mean() < math.exp(-x) for x in (0.5, 1, 2, 3, 4))


def test_an_error_is_judged_by_those_of_tiles_that_move_alike() -> None:
    """Who walks is predicted worse than the pavement: as large an error is usual on one and odd on the other."""

    def walked(seed: int) -> RawScores:
        clip = calm(300, seed)
        moving = np.hypot(*clip.flow_tiles.transpose(1, 0, 2, 3)) > 0.2
        return dataclasses.replace(clip, error_tiles=np.where(moving, clip.error_tiles * 20, clip.error_tiles))

    odd = with_tile(walked(3), "error_tiles", slice(None), 2e-3)
    walking = with_tile(odd, "flow_tiles", slice(None), (1.0, 0.0))
    calibration = fit([walked(1), walked(2)])
    still, moving = (calibration.surprises(one, FPS)["prediction"][:, *PLACE] for one in (odd, walking))
    assert still.min() > 7
    assert moving.max() < 3


def test_an_error_is_judged_by_the_errors_of_the_whole_view() -> None:
    """A trifle where hardly anything ever happened is none; nor is the clock of a recorder, which never fits."""

    def recorded(seed: int) -> RawScores:
        clip = calm(300, seed)
        errors = clip.error_tiles.copy()
        errors[:, :6] *= 0.01
        errors[:, 0, 0] *= 1e5
        return dataclasses.replace(clip, error_tiles=errors)

    calibration, usual = fit([recorded(1), recorded(2)]), recorded(3)
    trifle, odd = (with_tile(usual, "error_tiles", slice(100, 200), value) for value in (1e-4, 1e-2))
    before, slightly, highly = (calibration.surprises(one, FPS)["prediction"][150] for one in (usual, trifle, odd))
    assert before[0, 0] < 7, "one tile of 256 has a surprise of 5.5"
    assert slightly[PLACE] < 2
    assert highly[PLACE] > 7


def test_what_a_video_shows_throughout_is_its_condition_and_what_comes_is_odd(calibration: Calibration) -> None:
    usual = calm(300, 5)
    throughout, came = (with_tile(usual, "location_tiles", frames, 0.93) for frames in (slice(None), slice(200, None)))
    before, always, later = (
        calibration.surprises(one, FPS)["presence"][:, *PLACE] for one in (usual, throughout, came)
    )
    assert always.max() < before.max() + 1
    assert later[260] > always.max() + 2
    assert calibration.surprises(with_tile(usual, "location_tiles", slice(None), 40.0), FPS)["presence"][150][PLACE] > 7


def test_what_the_view_shows_for_most_of_a_video_is_its_condition(calibration: Calibration) -> None:
    """The picture is noisier and another colour for most of a video; or a lamp blinds the camera for five seconds."""

    def between(start: int, stop: int) -> RawScores:
        changed = ((np.arange(300) >= start) & (np.arange(300) < stop))[:, None, None]
        return dataclasses.replace(
            usual,
            error_tiles=usual.error_tiles * np.where(changed, 30, 1),
            location_tiles=usual.location_tiles * np.where(changed, 3, 1),
        )

    usual = calm(300, 5)
    changed, blinded = between(100, 300), between(100, 150)
    before, after = (calibration.score(one, FPS)[100:] for one in (usual, changed))
    assert after.max() < before.max() + 0.5
    assert calibration.score(blinded, FPS)[100:150].min() > calibration.enter
    odd = with_tile(changed, "error_tiles", slice(200, None), 0.1)
    assert calibration.surprises(odd, FPS)["prediction"][250][PLACE] > 7


def test_what_differs_between_normal_clips_is_not_odd() -> None:
    """Each clip has 40 tiles of its own that look different, for all its length: light, or a camera that moved."""

    def moved(seed: int) -> RawScores:
        clip, tiles = calm(120, seed), np.random.default_rng(seed).choice(256, 40, replace=False)
        place = clip.location_tiles.reshape(-1, 256).copy()
        place[:, tiles] *= 8
        return dataclasses.replace(clip, location_tiles=place.reshape(-1, 16, 16))

    knowing, steady = fit([moved(1), moved(2), moved(4)]), fit([calm(120, 1), calm(120, 2), calm(120, 4)])
    assert (knowing.score(moved(3), FPS) > knowing.enter).mean() < 0.05
    assert (steady.score(moved(3), FPS) > steady.enter).all()


def test_of_one_heldout_clip_each_half_is_judged_by_the_other() -> None:
    first, second = calm(100, 1), calm(100, 2)
    moved = dataclasses.replace(second, error_tiles=second.error_tiles * 20)
    assert fit([RawScores.join([first, moved])]).tails["still"].knots == pytest.approx(
        fit([first, moved]).tails["still"].knots
    )


def test_the_ends_of_a_video_are_no_odder_than_its_middle(calibration: Calibration) -> None:
    normal = np.concatenate([calibration.surprises(calm(100, seed), FPS)["presence"] for seed in range(10, 16)])
    ends = normal.reshape(6, 100, 256)[:, [*range(10), *range(90, 100)]]
    assert ends.mean() == pytest.approx(normal.mean(), rel=0.1)


def test_twice_a_trifle_is_a_trifle() -> None:
    """A wall that always shows nearly the same: what is little there is little beside what the other places vary by."""

    def walled(seed: int) -> RawScores:
        clip = calm(300, seed)
        place = clip.location_tiles.copy()
        place[:, PLACE[0]] *= 0.01
        return dataclasses.replace(clip, location_tiles=place)

    calibration = fit([walled(1), walled(2)])
    usual, slightly, highly = (
        calibration.surprises(with_tile(walled(3), "location_tiles", slice(100, 250), value), FPS)["presence"][175][
            PLACE
        ]
        for value in (0.01, 0.02, 10.0)
    )
    assert slightly < usual + 2
    assert highly > usual + 7


def test_who_passes_in_front_does_not_end_a_presence(calibration: Calibration) -> None:
    stayed = with_tile(calm(300, 5), "location_tiles", slice(100, 250), 40.0)
    hidden = with_tile(stayed, "location_tiles", slice(170, 174), 1.0)
    surprise = calibration.surprises(hidden, FPS)["presence"][:, *PLACE]
    assert surprise[140:210].min() > 5


def test_where_nothing_moves_motion_has_the_surprise_of_the_usual(calibration: Calibration) -> None:
    still = dataclasses.replace(calm(50, 6), flow_tiles=np.zeros((50, 2, 16, 16), np.float32))
    assert calibration.surprises(still, FPS)["motion"] == pytest.approx(np.full((50, 16, 16), math.log(2)))


def test_scores_are_smoothed_over_time() -> None:
    once, longer = (
        with_tile(calm(300, 4), "error_tiles", frames, 0.1) for frames in (slice(150, 151), slice(148, 153))
    )
    sharp, smooth = (
        one.score(odd, FPS) - one.score(calm(300, 4), FPS)
        for one, odd in ((fit(NORMAL, 0.0), once), (fit(NORMAL, 0.5), longer))
    )
    assert np.flatnonzero(sharp).tolist() == [150]
    # Less far than three times half a second where even so a frame is no odder than most.
    reached = np.flatnonzero(np.abs(smooth) > 0.01)
    assert 133 <= reached.min() <= 144
    assert 156 <= reached.max() <= 167


def test_the_baseline_is_the_flow_of_the_four_fastest_tiles() -> None:
    flow = np.zeros((10, 2, 16, 16), np.float32)
    flow[3, :, 0, :6] = [[3, 0, -6, 0, 0, 1], [4, 1, -8, 2, 1, 0]]
    assert flow_magnitude(flow).tolist() == [0, 0, 0, (5 + 10 + 2 + 1) / 4] + [0] * 6


def walked(frames: int, seed: int) -> RawScores:
    """In row 12 somebody always walks: feet go twice as fast as the walker and stand still again."""
    clip, feet = calm(frames, seed), np.arange(frames)[:, None] + 3 * np.arange(16)
    flow = np.zeros((frames, 2, 16, 16))
    flow[:, 0, 12] = np.where(feet % 10 < 5, 2.0, 0.5) + np.random.default_rng(seed).normal(0, 0.05, (frames, 16))
    return dataclasses.replace(clip, flow_tiles=flow.astype(np.float32))


def test_who_glides_is_seen_by_a_step_and_who_hurries_for_a_moment_by_the_moment() -> None:
    """The one nowhere faster than a foot, the other on the whole hardly faster than a walker."""
    calibration = fit([walked(600, 1), walked(600, 2)])
    clip = walked(300, 3)
    glides, stumbles = clip.flow_tiles.copy(), clip.flow_tiles.copy()
    glides[100:200, 0, 12, 9] = 2.0
    stumbles[150, 0, 12, 9] = 3.4
    usual, gliding, stumbling = (
        calibration.surprises(dataclasses.replace(clip, flow_tiles=flow), FPS)["motion"][:, 12, 9]
        for flow in (clip.flow_tiles, glides, stumbles)
    )
    assert gliding[120:180].min() > usual.max() + 2
    assert stumbling[150] > usual.max() + 2
    assert stumbling[[147, 153]].max() < usual.max() + 1


def test_a_training_clip_is_judged_by_velocities_of_the_others() -> None:
    """Nobody else goes up there."""
    climbs = with_tile(calm(300, 3), "flow_tiles", slice(100, 250), (0.0, -2.0))
    norm, seen = fit(NORMAL, training=[*NORMAL, climbs]).norm, Sighting.of(climbs, FPS)
    knowing, without = norm.oddities(seen), norm.without(seen).oddities(seen)
    place = 16 * PLACE[0] + PLACE[1]
    for name in ("instant", "step"):
        assert without[name][150, place] > knowing[name][150, place] + 2
    np.testing.assert_array_equal(without["appearance"], knowing["appearance"])


def test_a_score_stands_for_a_probability_whose_odds_are_even_where_events_end(calibration: Calibration) -> None:
    scores = calibration.exit + np.array([-50.0, -math.log(3), 0.0, math.log(3), 5.0, 50.0])
    alarm = calibration.alarm(scores)
    assert alarm[1:4] == pytest.approx([0.25, 0.5, 0.75])
    assert (np.diff(alarm) > 0).all()
    assert 0 <= alarm[0] < alarm[-1] <= 1


def test_a_calibration_survives_its_json_bit_for_bit(calibration: Calibration) -> None:
    again = Calibration.from_json(calibration.to_json())
    assert again.to_json() == calibration.to_json()
    assert again.digest() == calibration.digest()
    odd = with_tile(calm(100, 7), "flow_tiles", slice(20, 40), (-3.0, 2.0))
    scores = calibration.score(odd, FPS)
    np.testing.assert_array_equal(again.score(odd, FPS), scores)
    np.testing.assert_array_equal(again.alarm(scores), calibration.alarm(scores))
    np.testing.assert_array_equal(again.tile_map(odd, FPS), calibration.tile_map(odd, FPS))


@pytest.mark.parametrize(
    "text", ["{}", "no", "[]", '{"norm": {"velocities": {"tile": [999], "bin": [0], "count": [1]}}}']
)
def test_text_that_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a calibration.*publish the model again"):
        Calibration.from_json(text)


def test_there_have_to_be_frames_to_fit_on() -> None:
    with pytest.raises(ValueError, match="no scored frames; hold out more"):
        fit([RawScores.join([])])
    with pytest.raises(ValueError, match="no scored frames"):
        fit([calm(1, 0)])


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_the_shortest_videos_have_scores_too(calibration: Calibration, frames: int) -> None:
    short = calm(frames, 8)
    assert len(short) == frames
    assert calibration.score(short, FPS).shape == (frames,)
    assert calibration.tile_map(short, FPS).shape == (frames, 16, 16)
