"""Evaluation: figures on scores whose answer is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made_scores import FPS, walkers

from stmae.datasets.manifest import Clip
from stmae.evaluation import ROWS
from stmae.evaluation.evaluate import evenly_spaced, joining_clips
from stmae.evaluation.figures import ScoredClip, figures_of
from stmae.scoring import DETECTORS


def clip(
    labels: list[int] | None,
    *,
    psnr: list[float] | None = None,
    combined: list[float] | None = None,
    motion: list[float] | None = None,
    speed: list[float] | None = None,
    masks: np.ndarray | None = None,
    heatmap: np.ndarray | None = None,
) -> ScoredClip:
    """Returns a clip with the scores that a test is about; all others are the same for each frame."""
    frames = len(next(part for part in (labels, psnr, combined, motion, speed) if part is not None))
    flow = np.zeros((frames, 2, 16, 16), np.float32)
    flow[:, 0] = np.reshape(speed or [0] * frames, (-1, 1, 1))
    raw = dataclasses.replace(
        walkers(frames, seed=0), psnr=np.array(psnr or [30] * frames, np.float32), flow_tiles=flow
    )
    truth = None if labels is None else np.array(labels, np.uint8)
    log10_p = np.zeros((frames, len(DETECTORS)))
    log10_p[:, DETECTORS.index("motion")] = motion or 0.0
    tiles = np.zeros((frames, 16, 16)) if heatmap is None else heatmap
    return ScoredClip("a", FPS, truth, masks, raw, np.array(combined or [0.0] * frames), log10_p, tiles)


def figures(*clips: ScoredClip) -> dict[str, float]:
    return figures_of(clips)[0]


def test_low_psnr_on_abnormal_frames_is_a_perfect_score() -> None:
    found = figures(clip([0, 0, 0, 1, 1, 1], psnr=[30, 31, 29, 20, 19, 21]))
    assert found["psnr_auc_micro_per_video"] == found["psnr_auc_micro_raw"] == found["psnr_auc_macro"] == 1
    assert (found["clips"], found["frames"], found["abnormal_frames"]) == (1, 6, 3)


def test_a_high_combined_score_on_abnormal_frames_is_a_perfect_score() -> None:
    found, roc = figures_of([clip([0, 0, 1, 1], combined=[1, 2, 7, 9])])
    assert found["combined_auc_micro_raw"] == found["combined_auc_micro_per_video"] == found["combined_auc_macro"] == 1
    assert found["combined_eer"] == pytest.approx(0, abs=1e-9)
    assert [point[:2] for point in roc][-1] == (1, 1)
    assert all(np.isfinite(threshold) for *_, threshold in roc)
    assert found["flow_magnitude_auc_micro_raw"] == 0.5


def test_every_row_has_the_same_transforms() -> None:
    found = figures(clip([0, 0, 1, 1], combined=[1, 2, 7, 9]), clip([0, 1], combined=[0, 1]))
    for row in ROWS:
        assert {f"{row}_auc_micro_raw", f"{row}_auc_macro", f"{row}_auc_micro_per_video"} <= found.keys()


def test_each_detector_is_judged_alone() -> None:
    found = figures(clip([0, 1, 0, 1], combined=[1, 2, 7, 9], motion=[1, 7, 2, 9]))
    assert found["motion_auc_micro_raw"] == 1
    assert found["prediction_auc_micro_raw"] == found["persistence_auc_micro_raw"] == 0.5
    assert found["combined_auc_micro_raw"] == 0.75


def test_the_baseline_is_flow_magnitude_smoothed_over_time() -> None:
    labels = [0] * 30 + [1] * 30
    speed = [0.0] * 10 + [9.0] + [0.0] * 19 + [1.0] * 14 + [0.0] * 2 + [1.0] * 14
    found = figures(clip(labels, speed=speed))
    assert found["flow_magnitude_auc_micro_raw"] > 0.8  # unsmoothed: a peak above all others, and two gaps


def test_per_video_min_max_hides_a_difference_between_videos_that_raw_scores_show() -> None:
    calm_clip, wild = clip([0] * 4, psnr=[40, 39, 38, 37]), clip([1] * 4, psnr=[13, 12, 11, 10])
    found = figures(calm_clip, wild)
    assert found["psnr_auc_micro_raw"] == 1
    assert found["psnr_auc_micro_per_video"] == pytest.approx(0.5)


def test_clips_with_masks_are_judged_by_pixel_too() -> None:
    masks, heatmap = np.zeros((2, 32, 32), np.uint8), np.zeros((2, 16, 16))
    masks[1, 4:8, 6:8] = 1  # two tiles
    heatmap[1, 2:4, 3] = 5
    found = figures(clip([0, 1], masks=masks, heatmap=heatmap), clip([0, 1]))
    assert found["pixel_auc"] == found["overlap_auc"] == 1
    assert "pixel_auc" not in figures(clip([0, 1]))


def test_masks_of_one_class_of_frames_give_no_figure_that_needs_both() -> None:
    masks = np.zeros((2, 32, 32), np.uint8)
    assert {"pixel_auc", "overlap_auc"}.isdisjoint(figures(clip([0, 0], masks=masks), clip([0, 1])))
    masks[:, 4:8, 6:8] = 1
    found = figures(clip([1, 1], masks=masks), clip([0, 1]))
    assert found["pixel_auc"] == 0.5
    assert "overlap_auc" not in found
    assert all(map(math.isfinite, found.values()))


def test_figures_tell_how_many_clips_they_are_of() -> None:
    found = figures(clip([0, 1]), clip(None, psnr=[30, 20, 10]))
    counts = [found[name] for name in ("clips", "labelled_clips", "frames", "abnormal_frames")]
    assert counts == [2, 1, 5, 1]
    assert all(isinstance(count, int) for count in counts)


def test_unlabelled_footage_has_scores_but_no_auc() -> None:
    found, roc = figures_of([clip(None, psnr=[30, 20])])
    assert found == {"clips": 1, "frames": 2, "labelled_clips": 0}
    assert roc == []


@pytest.mark.parametrize(("clips", "most"), [(3, 9), (40, 9), (50, -8), (7, 7)])
def test_training_clips_that_join_a_calibration_are_spread_evenly(clips: int, most: int) -> None:
    training = [Clip(f"{i}", "train", "", 64, 48, 64, "0", "", False, False, "") for i in range(clips)]
    chosen = evenly_spaced(training, most)
    assert len(set(chosen)) == len(chosen) == max(min(clips, most), 0)
    places = [training.index(clip) for clip in chosen]
    assert places == sorted(places)
    if places:
        assert np.diff([*places, clips]).max() <= math.ceil(clips / len(places)), "as many are left out between"


def test_seconds_of_a_long_day_join_no_calibration_of_minutes() -> None:
    def clips(count: int, frames: int) -> list[Clip]:
        return [Clip(f"{i}", "train", "", frames, 48, 64, "0", "", False, False, "") for i in range(count)]

    assert joining_clips(clips(8, 1200), clips(300, 20)) == []
    assert len(joining_clips(clips(2, 150), clips(30, 120))) == 10
