"""Calibration: from the detectors' values to a score, which is log10 of a return period in hours."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import FPS, fit, scores_of, walkers, with_tile

from stmae.evaluation.fitting import fit_calibration, fit_return_periods
from stmae.scoring import DETECTORS
from stmae.scoring.calibration import Calibration, ScoredFrames
from stmae.scoring.events import find_events
from stmae.scoring.normality import FrameValues
from stmae.storage.document import digest, from_json, to_json

NORMAL = [walkers(400, seed) for seed in range(3)]
MODEL, CALIBRATION = fit(NORMAL)
EVERYWHERE = (slice(None), slice(None))
SPOT = (slice(5, 7), slice(9, 11))
SLOW = 2.0
"""Frames a second of the long streams."""
INCIDENTS_AN_HOUR = 60


def calibrate(clips: list[FrameValues], fps: float = SLOW, event_hours: float = 1.0) -> Calibration:
    return fit_calibration(clips, fps=fps, event_hours=event_hours, min_seconds=0.5, merge_seconds=5.0)


def with_heatmap(values: np.ndarray) -> FrameValues:
    return FrameValues(values.astype(np.float32), np.zeros((len(values), 16, 16), np.float32))


def noise(frames: int, seed: int) -> FrameValues:
    """Returns values without incidents; one detector's are on another scale than the others'."""
    values = np.random.default_rng(seed).normal(0, 1, (frames, 4)) * [1, 10, 0.1, 1]
    return with_heatmap(values)


def hour(random: np.random.Generator, *, flicker: bool = False) -> FrameValues:
    """Returns an hour of normal footage. Now and then a detector's values are higher for about 10 seconds.

    With `flicker` they are for half a minute, every third and fourth second.
    """
    frames = round(3600 * SLOW)
    values = random.normal(0, 0.3, (frames, 4))
    for _ in range(random.poisson(INCIDENTS_AN_HOUR)):
        start, length = random.integers(frames), round(random.uniform(5, 15) * SLOW)
        shape = (np.arange(round(30 * SLOW)) % 8 < 4) if flicker else np.ones(length)
        shape = shape[: frames - start]
        values[start : start + len(shape), random.integers(4)] += shape * random.pareto(2)
    return with_heatmap(values)


def raised(values: FrameValues, frames: slice, detector: int, by: float) -> FrameValues:
    higher = values.values.copy()
    higher[frames, detector] += by
    return FrameValues(higher, values.heatmap)


def scores(calibration: Calibration, values: FrameValues) -> ScoredFrames:
    return ScoredFrames.join(list(calibration.scores([values])))


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_tenth_of_unseen_normal_frames_has_a_p_value_of_a_tenth_to_each_detector(detector: str) -> None:
    calibration = calibrate([noise(5000, 1), noise(5000, 2)], FPS)
    log10_p = scores(calibration, noise(20_000, 3)).log10_p[:, DETECTORS.index(detector)]
    assert (log10_p >= 1).mean() == pytest.approx(0.1, rel=0.3)
    assert 0.004 < (log10_p >= 2).mean() < 0.025


@pytest.mark.parametrize("detector", range(4))
def test_what_any_detector_says_raises_the_score(detector: int) -> None:
    calibration, normal = calibrate([noise(5000, 1)], FPS), noise(300, 2)
    before, after = (scores(calibration, raised(normal, slice(100, 200), detector, by)) for by in (0.0, 50.0))
    assert after.score[110:190].min() > before.score.max() + 1
    assert (after.log10_p[110:190].argmax(axis=1) == detector).all()
    np.testing.assert_array_equal(after.score[:90], before.score[:90])
    np.testing.assert_array_equal(after.score[220:], before.score[220:])


def test_a_value_counts_within_a_second_of_its_frame_and_a_single_one_for_little() -> None:
    calibration, normal = calibrate([noise(5000, 1)], FPS), noise(300, 2)
    plain, begins, once = (
        scores(calibration, raised(normal, frames, 0, 20.0)).log10_p[:, 0]
        for frames in (slice(0), slice(150, None), slice(150, 151))
    )
    np.testing.assert_array_equal(begins[:140], plain[:140])
    assert begins[160:].min() > plain.max() + 2
    assert (np.diff(begins[140:160]) > -0.1).all(), "it rises as the frames that count do"
    np.testing.assert_array_equal(once[161:], plain[161:])
    assert once.max() < begins[160:].min() - 1


@pytest.mark.parametrize(("flicker", "levels"), [(False, (0.1, 0.3, 1.0)), (True, (0.1,))])
def test_return_periods_of_unseen_footage_are_what_they_say(flicker: bool, levels: tuple[float, ...]) -> None:
    """Events above "once in T hours" number about 75 / T in 75 hours, a third of them by each of three calibrations."""
    random = np.random.default_rng(0)
    found = dict.fromkeys(levels, 0)
    for _ in range(3):
        calibration = calibrate([hour(random, flicker=flicker) for _ in range(6)])
        scored = list(calibration.scores(hour(random, flicker=flicker) for _ in range(25)))
        for hours in found:
            found[hours] += sum(1 for _ in find_events(scored, calibrate_at(calibration, hours)))
    for hours, count in found.items():
        assert 75 / hours / 3 <= count <= 3 * 75 / hours


def calibrate_at(calibration: Calibration, event_hours: float) -> Calibration:
    return from_json(Calibration, json.dumps(json.loads(to_json(calibration)) | {"event_hours": event_hours}))


def test_footage_that_is_too_short_for_the_alert_budget_still_has_events() -> None:
    """An event is then what is rarer than once in the footage."""
    calibration = calibrate([noise(round(1800 * SLOW), 1)], event_hours=100.0)
    assert calibration.event_hours == pytest.approx(0.5)
    assert calibrate([noise(round(1800 * SLOW), 1)], event_hours=0.25).event_hours == 0.25


def test_more_calibration_footage_raises_the_bound() -> None:
    short, long = (calibrate([noise(frames, seed) for seed in (1, 2)], FPS) for frames in (1000, 5000))
    assert short.bound_hours == pytest.approx(100 * 2000 / FPS / 3600)
    assert long.bound_hours == pytest.approx(5 * short.bound_hours)


def test_what_is_beyond_the_bound_still_ranks() -> None:
    calibration, normal = calibrate([noise(5000, 1)], FPS), noise(300, 2)
    found = [scores(calibration, raised(normal, slice(100, 200), 0, by)).score[150] for by in (1e3, 1e4, 1e5, 1e6)]
    assert min(found) > math.log10(calibration.bound_hours)
    assert np.diff(found).min() > 0


@given(
    st.lists(st.floats(-1, 20), min_size=1, max_size=80),
    st.floats(1e-3, 1e4),
    st.lists(st.floats(-2, 60), min_size=2, max_size=20, unique=True),
)
def test_return_periods_rise_strictly_with_the_curve(peaks: list[float], hours: float, asked: list[float]) -> None:
    curve = np.unique(np.round(asked, 6))
    log10_hours = fit_return_periods(np.array(peaks), hours).log10(curve)
    assert np.isfinite(log10_hours).all()
    assert (np.diff(log10_hours) > 0).all()


def test_many_peaks_tell_the_return_period_themselves() -> None:
    """With 10,000 peaks in 1,000 hours, what one in 100 exceeds is met once in 10 hours."""
    peaks = np.random.default_rng(0).exponential(size=10_000)
    periods = fit_return_periods(peaks, 1000.0)
    for probability in (0.3, 0.1, 0.01, 0.001):
        (found,) = periods.log10(np.array([-math.log(probability)]))
        assert found == pytest.approx(math.log10(0.1 / probability), abs=0.15)


def test_more_hours_with_the_same_peaks_make_them_rarer() -> None:
    peaks = np.random.default_rng(0).exponential(size=200)
    few, many = (fit_return_periods(peaks, hours).log10(np.array([3.0]))[0] for hours in (10.0, 100.0))
    assert many - few == pytest.approx(1)


def test_it_matters_little_how_many_clips_the_calibration_footage_is_cut_into() -> None:
    random = np.random.default_rng(3)
    clips = [hour(random) for _ in range(4)]
    whole = calibrate(clips)
    cut = calibrate([clip[start : start + 1800] for clip in clips for start in range(0, len(clip), 1800)])
    watched = hour(random)
    one, other = (ScoredFrames.join(list(each.scores([watched]))).score for each in (whole, cut))
    assert np.abs(one - other).max() < 0.4


@pytest.mark.parametrize("fps", [0.5, 1.0, 8.0, 10.0, 25.0])
@pytest.mark.parametrize("frames", [1, 3, 60])
def test_the_shortest_streams_have_scores_at_any_frame_rate(fps: float, frames: int) -> None:
    calibration = calibrate([noise(500, 1)], fps)
    found = scores(calibration, noise(frames, 2))
    assert found.score.shape == (frames,)
    assert found.log10_p.shape == (frames, 4)
    assert np.isfinite(found.score).all()
    assert found.log10_p.min() >= 0


@pytest.mark.parametrize("frames", [1, 3, 60])
def test_the_shortest_calibration_clip_makes_scores(frames: int) -> None:
    found = scores(calibrate([noise(frames, 1)]), noise(9, 2)).score
    assert np.isfinite(found).all()


def test_values_that_never_changed_are_normal_and_a_higher_one_is_rare() -> None:
    same = with_heatmap(np.full((200, 4), 1.5))
    calibration = calibrate([same], FPS)
    found = scores(calibration, raised(same, slice(100, 150), 2, 1.0))
    assert found.log10_p[:80] == pytest.approx(np.zeros((80, 4)), abs=0.1)
    assert found.score[120] > found.score[:80].max() + 1


def test_raw_scores_of_an_anomaly_become_an_event_and_normal_footage_has_none() -> None:
    anomalous = with_tile(walkers(300, 9), "flow_tiles", slice(100, 200), (6.0, 0.0), SPOT)
    rare = calibrate_at(CALIBRATION, 1.0)
    (event,) = find_events([scores_of(MODEL, CALIBRATION, anomalous)], rare)
    assert 90 <= event.start <= 105 <= event.peak <= 195 <= event.end <= 215
    assert DETECTORS[event.detector] in {"motion", "appearance", "prediction"}
    assert list(find_events([scores_of(MODEL, CALIBRATION, walkers(300, 9))], rare)) == []


def test_motion_where_there_never_was_any_is_rarer_than_may_be_claimed() -> None:
    still = [with_tile(walkers(200, seed), "flow_tiles", slice(None), 0.0, EVERYWHERE) for seed in range(3)]
    model, calibration = fit(still[:2])
    moves = with_tile(still[2], "flow_tiles", slice(100, 150), (1.0, 0.0), SPOT)
    found = scores_of(model, calibration, moves).score
    assert found[125] > math.log10(calibration.bound_hours)
    assert found[:80].max() < math.log10(calibration.bound_hours)


def test_one_calibration_clip_is_enough() -> None:
    model, calibration = fit([walkers(400, 1)])
    anomalous = with_tile(walkers(300, 9), "flow_tiles", slice(100, 200), (6.0, 0.0), SPOT)
    found = scores_of(model, calibration, anomalous).score
    assert found[110:190].min() > found[:80].max() + 1


def test_a_calibration_survives_its_json_bit_for_bit() -> None:
    again = from_json(Calibration, to_json(CALIBRATION))
    assert to_json(again) == to_json(CALIBRATION)
    assert digest(again) == digest(CALIBRATION)
    found, expected = (scores_of(MODEL, each, walkers(100, 7)) for each in (again, CALIBRATION))
    np.testing.assert_array_equal(found.score, expected.score)
    np.testing.assert_array_equal(found.log10_p, expected.log10_p)
    assert again.bound_hours == CALIBRATION.bound_hours


def test_the_digest_is_that_of_the_content() -> None:
    assert digest(calibrate_at(CALIBRATION, CALIBRATION.event_hours)) == digest(CALIBRATION)
    assert digest(calibrate_at(CALIBRATION, 2 * CALIBRATION.event_hours)) != digest(CALIBRATION)
    assert digest(fit([*NORMAL[:2], walkers(400, 9)])[1]) != digest(CALIBRATION)


FORMER = {
    "norm": {
        "errors": {"median": [0.1] * 256, "spread": [1.0] * 256},
        "velocities": {"tile": [3], "bin": [7], "count": [12]},
    },
    "tails": {"still": {"knots": [0.0, 1.0], "decay": 0.3, "support": 12.0}},
    "way_tails": [{"knots": [0.0, 1.0], "decay": 0.3, "support": 2.0}],
    "smoothing_seconds": 0.5,
    "enter": 5.3,
    "exit": 3.1,
    "min_seconds": 0.3,
    "merge_seconds": 1.0,
}


def test_a_calibration_of_the_former_format_says_that_the_model_is_to_be_published_again() -> None:
    with pytest.raises(ValueError, match=r"not a calibration.*format.*publish the model again"):
        from_json(Calibration, json.dumps(FORMER))


@pytest.mark.parametrize("text", ["", "{}", "no", "[]", "null", '{"format": 3}'])
def test_text_that_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a calibration.*publish the model again"):
        from_json(Calibration, text)


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"smoothing_seconds": 0.5}, {"pvalues": [1, 2, 3, 4]}, {"pvalues": []}, {"return_periods": {}}],
)
def test_a_calibration_with_other_fields_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="publish the model again"):
        from_json(Calibration, json.dumps(json.loads(to_json(CALIBRATION)) | change))
