"""The normality model: what each detector's value says of a frame, and what it is fitted to."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from made_scores import FPS, LANE, fit, times_tile, values_of, walkers, with_tile

from stmae.evaluation.fitting import NormalClip, fit_normality
from stmae.scoring import DETECTORS
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.scoring.raw import RawScores
from stmae.storage.document import digest, from_json, to_json

EVERYWHERE = (slice(None), slice(None))
SPOT = (slice(5, 7), slice(9, 11))
"""Four tiles; PLACE is one of them."""
EVENT = slice(100, 200)
NORMAL = [walkers(400, seed) for seed in range(3)]
SHORT = [walkers(60, seed) for seed in range(2)]
MODEL = fit(NORMAL)[0]
UNSEEN = walkers(300, 9)
UNSEEN_VALUES = values_of(MODEL, UNSEEN)

motionless = [with_tile(walkers(300, seed), "flow_tiles", slice(None), 0.0, EVERYWHERE) for seed in range(3)]
anomalies = pytest.mark.parametrize(
    ("detector", "anomalous"),
    [
        ("prediction", with_tile(UNSEEN, "error_tiles", EVENT, 0.1, SPOT)),
        ("motion", with_tile(UNSEEN, "flow_tiles", EVENT, (6.0, 0.0), SPOT)),
        ("persistence", with_tile(UNSEEN, "location_tiles", EVENT, 40.0, SPOT)),
        (
            "appearance",
            with_tile(with_tile(UNSEEN, "feature_tiles", EVENT, 0.9, SPOT), "flow_tiles", EVENT, (1.0, 0.0), SPOT),
        ),
    ],
)


@anomalies
def test_each_detector_says_much_of_what_it_sees_and_others_say_nothing(detector: str, anomalous: RawScores) -> None:
    risen = values_of(MODEL, anomalous).values[150] - UNSEEN_VALUES.values[150]
    assert DETECTORS[int(risen.argmax())] == detector
    assert risen.max() > 2
    # Prediction and appearance are combined with motion at each tile: rare motion raises them too.
    silent = [
        name not in {detector, *(("appearance", "prediction") if detector == "motion" else ())} for name in DETECTORS
    ]
    assert risen[silent].max() < 0.5


@anomalies
def test_the_heatmap_is_highest_where_and_when_something_is_anomalous(detector: str, anomalous: RawScores) -> None:
    heatmap = values_of(MODEL, anomalous).heatmap
    row, column = np.unravel_index(int(heatmap[150].argmax()), (16, 16))
    assert (row, column) in {(5, 9), (5, 10), (6, 9), (6, 10)}
    before = UNSEEN_VALUES.heatmap
    np.testing.assert_array_equal(heatmap[:80], before[:80])
    np.testing.assert_array_equal(
        np.delete(heatmap[150], slice(5, 7), axis=0), np.delete(before[150], slice(5, 7), axis=0)
    )


def test_at_most_a_hundredth_of_normal_tiles_have_a_p_value_of_a_hundredth_to_any_detector() -> None:
    heatmaps = np.concatenate([values_of(MODEL, walkers(600, seed)).heatmap for seed in (11, 12)])
    assert heatmaps.min() >= 0
    for level in (2, 3):
        assert (heatmaps >= level).mean() <= 1.3 * len(DETECTORS) * 10.0**-level


def test_values_are_single_and_one_a_detector() -> None:
    assert UNSEEN_VALUES.values.shape == (300, 4)
    assert UNSEEN_VALUES.heatmap.shape == (300, 16, 16)
    assert UNSEEN_VALUES.values.dtype == UNSEEN_VALUES.heatmap.dtype == np.float32
    assert DETECTORS == ("prediction", "motion", "appearance", "persistence")


def test_an_error_is_judged_by_those_of_tiles_that_move() -> None:
    """Who walks is predicted worse than the pavement."""

    def walked(seed: int) -> RawScores:
        clip = walkers(400, seed)
        moves = np.abs(clip.flow_tiles).sum(axis=1) > 0.2
        return dataclasses.replace(clip, error_tiles=np.where(moves, clip.error_tiles * 20, clip.error_tiles))

    model, _ = fit([walked(1), walked(2)])
    at = (LANE, slice(8, 10))
    walks = with_tile(walked(3)[:100], "flow_tiles", slice(None), (1.0, 0.0), at)
    normal, large = (
        values_of(model, with_tile(walks, "error_tiles", slice(None), error, at)).heatmap[50, *at]
        for error in (5e-3, 0.5)
    )
    assert normal.max() < 2.6
    assert large.min() > 4


@pytest.mark.parametrize(("name", "value", "detector"), [("feature_tiles", 0.9, 2), ("error_tiles", 5e-3, 0)])
def test_appearance_and_prediction_say_more_where_the_motion_is_rare_as_well(
    name: str, value: float, detector: int
) -> None:
    at = (LANE, slice(6, 10))
    anomalous = with_tile(UNSEEN[:100], name, slice(None), value, at)
    walks, runs = (with_tile(anomalous, "flow_tiles", slice(None), (speed, 0.0), at) for speed in (1.0, 6.0))
    walking, running = (values_of(MODEL, raw).values[50, detector] for raw in (walks, runs))
    assert running > walking + 1


def test_where_hardly_anything_moved_all_tiles_say_how_what_moves_looks() -> None:
    """A few tiles do not tell how features vary, so that any that moves would be anomalous."""
    empty = [with_tile(walkers(300, seed), "flow_tiles", slice(5, None), 0.0, EVERYWHERE) for seed in range(3)]
    model, _ = fit(empty[:2])
    walks = with_tile(empty[2], "flow_tiles", EVENT, (1.0, 0.0), SPOT)
    unlike = with_tile(walks, "feature_tiles", EVENT, 0.9, SPOT)
    walking, riding = (values_of(model, raw).values[150, DETECTORS.index("appearance")] for raw in (walks, unlike))
    assert walking < 3
    assert riding > walking + 0.7


def test_what_differs_between_normal_clips_is_normal() -> None:
    """Each clip has 40 tiles of its own that look different for all its length: light, or a camera that moved."""

    def moved(seed: int) -> RawScores:
        clip = walkers(150, seed)
        distances = clip.location_tiles.reshape(-1, 256).copy()
        distances[:, np.random.default_rng(seed).choice(256, 40, replace=False)] *= 8
        return dataclasses.replace(clip, location_tiles=distances.reshape(-1, 16, 16))

    persistence = DETECTORS.index("persistence")
    knowing, steady = (fit([make(seed) for seed in range(5)])[0] for make in (moved, lambda seed: walkers(150, seed)))
    known, unknown = (values_of(model, moved(9)).values[60:, persistence] for model in (knowing, steady))
    assert np.median(known) < 2.5
    assert np.median(unknown) > np.median(known) + 3


def test_a_change_of_the_whole_view_is_seen_when_it_comes_and_is_normal_after_ten_minutes() -> None:
    """The light changes a little everywhere: too little to be seen at any one tile, but not in the mean of all."""
    fps, frames = 0.5, 700
    model, _ = fit(NORMAL, fps=fps)
    for name, detector in (("error_tiles", 0), ("location_tiles", 3)):
        brighter = times_tile(walkers(frames, 9), name, slice(350, None), 1.1, EVERYWHERE)
        values = values_of(model, brighter).values[:, detector]
        before, new, old = (np.median(values[part]) for part in (slice(340), slice(352, 400), slice(650, None)))
        assert new > before + 1.5
        assert old < before + (new - before) / 3


@pytest.mark.parametrize(("name", "value"), [("flow_tiles", (0.0, -2.0)), ("error_tiles", 3e-3)])
def test_values_of_calibration_clips_are_by_detectors_that_were_not_fitted_to_them(
    name: str, value: float | tuple[float, float]
) -> None:
    """Each clip has a place of its own where something goes on all the time."""

    def clip(seed: int) -> RawScores:
        return with_tile(walkers(200, seed), name, slice(None), value, (slice(5, 7), slice(4 * seed, 4 * seed + 2)))

    clips = [clip(seed) for seed in range(3)]
    model, values = fit_normality([NormalClip.of(each) for each in clips], fps=FPS)
    assert len(values) == 3
    for left_out, found in zip(clips, values, strict=True):
        others, _ = fit_normality([NormalClip.of(each) for each in clips if each is not left_out], fps=FPS)
        expected = values_of(dataclasses.replace(others, pvalues=model.pvalues), left_out)
        np.testing.assert_array_equal(found.values, expected.values)
        assert (found.values != values_of(model, left_out).values).any()


def climbing(frames: int, seed: int, at: slice) -> RawScores:
    return with_tile(walkers(frames, seed), "flow_tiles", at, (0.0, -2.0), SPOT)


def test_a_training_clip_is_left_out_as_a_whole_even_if_only_its_first_part_has_raw_scores() -> None:
    """Somebody climbs throughout, and nobody does in the other clips."""
    scored = 100
    climbs = climbing(300, 3, slice(None))
    other = NormalClip.of(walkers(300, 5))
    part = NormalClip(climbs.flow_tiles, climbs[:scored])
    calibration = [NormalClip.of(clip) for clip in NORMAL]
    model, values = fit_normality(calibration, [other, part], fps=FPS)
    assert len(values) == len(NORMAL) + 2
    flows = [other.flow_tiles, *(clip.flow_tiles for clip in calibration)]
    never_saw = dataclasses.replace(model, motion=MotionDetector.fit(flows, FPS))
    unseen = values_of(never_saw, climbs[:scored])
    for name in ("values", "heatmap"):
        np.testing.assert_array_equal(getattr(values[-1], name), getattr(unseen, name))
    motion = DETECTORS.index("motion")
    assert np.median(values[-1].values[:, motion]) > np.median(values_of(model, climbs).values[:, motion]) + 1


def test_training_clips_without_raw_scores_say_how_people_move_and_have_no_values() -> None:
    flow_only = NormalClip(climbing(400, 3, slice(None)).flow_tiles, RawScores.empty())
    model, values = fit_normality([NormalClip.of(clip) for clip in NORMAL], [flow_only], fps=FPS)
    assert len(values) == len(NORMAL)
    motion, climbs = DETECTORS.index("motion"), climbing(300, 9, EVENT)
    knowing, without = (values_of(each, climbs).values[150, motion] for each in (model, MODEL))
    assert knowing < without - 1


def test_each_half_of_an_only_calibration_clip_is_judged_by_the_other() -> None:
    first, second = walkers(300, 1), times_tile(walkers(300, 2), "error_tiles", slice(None), 20, EVERYWHERE)
    whole, values = fit_normality([NormalClip.of(RawScores.join([first, second]))], fps=FPS)
    halves, _ = fit_normality([NormalClip.of(first), NormalClip.of(second)], fps=FPS)
    assert to_json(whole) == to_json(halves)
    assert [len(each) for each in values] == [300, 300]


@pytest.mark.parametrize("frames", [2, 3, 20])
def test_a_camera_with_one_short_calibration_clip_has_values(frames: int) -> None:
    model, _ = fit([walkers(frames, 1)])
    assert np.isfinite(values_of(model, UNSEEN).values).all()


def test_where_normal_footage_has_no_motion_any_motion_is_very_rare() -> None:
    model, _ = fit(motionless[:2])
    motion = DETECTORS.index("motion")
    still, walks = (
        values_of(model, raw).values[:, motion]
        for raw in (motionless[2], with_tile(motionless[2], "flow_tiles", EVENT, (1.0, 0.0), SPOT))
    )
    assert still.max() < 0.1
    assert walks[150] > 5


@pytest.mark.parametrize("frames", [0, 1])
def test_a_calibration_split_without_scored_frames_is_refused(frames: int) -> None:
    for clips in ([], [walkers(0, 0)], [walkers(frames, 0)]):
        with pytest.raises(ValueError, match=r"calibration split have no scored frames; use longer"):
            fit(clips)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RawScores)])
def test_what_a_broken_model_measures_is_refused_wherever_it_comes_from(name: str) -> None:
    values = getattr(SHORT[1], name).copy()
    values[50] = np.nan
    broken = dataclasses.replace(SHORT[1], **{name: values})
    refused = pytest.raises(ValueError, match=rf"{name}: not finite.*train and publish it again")
    with refused:
        list(MODEL.frame_values([SHORT[0], broken]))
    with refused:
        fit([*SHORT, broken])
    with refused:
        fit(SHORT, [broken])


@pytest.mark.parametrize("frames", [1, 3, 44])
def test_footage_shorter_than_the_warm_up_has_values(frames: int) -> None:
    values = values_of(MODEL, walkers(frames, 8))
    assert values.values.shape == (frames, 4)
    assert np.isfinite(values.values).all()
    assert values.heatmap.shape == (frames, 16, 16)


def test_a_stream_without_frames_has_no_values() -> None:
    assert sum(len(part) for part in MODEL.frame_values([])) == 0
    assert sum(len(part) for part in MODEL.frame_values([RawScores.empty()])) == 0


def test_a_normality_model_survives_its_json_bit_for_bit() -> None:
    again = from_json(NormalityModel, to_json(MODEL))
    assert to_json(again) == to_json(MODEL)
    assert digest(again) == digest(MODEL)
    found = values_of(again, UNSEEN)
    np.testing.assert_array_equal(found.values, UNSEEN_VALUES.values)
    np.testing.assert_array_equal(found.heatmap, UNSEEN_VALUES.heatmap)


def test_the_digest_is_that_of_the_content() -> None:
    same, again, other = (digest(fit(clips)[0]) for clips in (SHORT, SHORT, [SHORT[0], walkers(60, 9)]))
    assert same == again != other


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "no", '{"format": 0}', json.dumps({"format": NormalityModel.FORMAT, "prediction": {"level": []}})],
)
def test_text_that_is_no_normality_model_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a normality model.*publish the model again"):
        from_json(NormalityModel, text)


def test_another_format_is_refused() -> None:
    table = json.loads(to_json(MODEL))
    with pytest.raises(ValueError, match="publish the model again"):
        from_json(NormalityModel, json.dumps(table | {"format": table["format"] + 1}))


def test_values_are_joined_and_cut_along_frames() -> None:
    again = FrameValues.join([UNSEEN_VALUES[:100], UNSEEN_VALUES[100:]])
    np.testing.assert_array_equal(again.heatmap, UNSEEN_VALUES.heatmap)
