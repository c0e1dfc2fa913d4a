"""Evaluation: figures on scores whose answer is known."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from evidence import FPS, calm

from stmae.datasets.manifest import Clip, Manifest, Split
from stmae.evaluation.evaluate import ALARM_CLIPS, ScoredClip, figures_of, normal_clips
from stmae.scoring.norm import KINDS, Kind


def clip(
    labels: list[int] | None,
    *,
    psnr: list[float] | None = None,
    combined: list[float] | None = None,
    motion: list[float] | None = None,
    speed: list[float] | None = None,
    masks: np.ndarray | None = None,
    tile_map: np.ndarray | None = None,
    alarm: list[float] | None = None,
) -> ScoredClip:
    """A clip of the scores that a test is about; all others are the same for each frame."""
    frames = len(next(part for part in (labels, psnr, combined, motion, speed) if part is not None))
    flow = np.zeros((frames, 2, 16, 16), np.float32)
    flow[:, 0] = np.reshape(speed or [0] * frames, (-1, 1, 1))
    evidence = dataclasses.replace(
        calm(frames, seed=0), psnr=np.array(psnr or [30] * frames, np.float32), flow_tiles=flow
    )
    truth = None if labels is None else np.array(labels, np.uint8)
    scores = np.array(combined or [0.0] * frames)
    tiles = np.zeros((frames, 16, 16)) if tile_map is None else tile_map
    parts: dict[Kind, np.ndarray] = dict.fromkeys(KINDS, np.zeros(frames))
    parts["motion"] = np.array(motion or scores)
    return ScoredClip("a", FPS, truth, masks, evidence, scores, np.array(alarm or scores), tiles, parts)


def figures(*clips: ScoredClip, smoothing_seconds: float = 0.0) -> dict[str, float]:
    return figures_of(clips, smoothing_seconds)[0]


def test_low_psnr_on_abnormal_frames_is_a_perfect_score() -> None:
    found = figures(clip([0, 0, 0, 1, 1, 1], psnr=[30, 31, 29, 20, 19, 21]))
    assert found["paper_auc_micro"] == found["paper_auc_micro_raw"] == found["paper_auc_macro"] == 1
    assert (found["clips"], found["frames"], found["abnormal_frames"]) == (1, 6, 3)


def test_a_high_combined_score_on_abnormal_frames_is_a_perfect_score() -> None:
    found, roc = figures_of([clip([0, 0, 1, 1], combined=[1, 2, 7, 9])], 0.0)
    assert found["combined_auc_micro_raw"] == found["combined_auc_micro_per_video"] == found["combined_auc_macro"] == 1
    assert found["combined_eer"] == pytest.approx(0, abs=1e-9)
    assert [point[:2] for point in roc][-1] == (1, 1)
    assert all(np.isfinite(threshold) for *_, threshold in roc)
    assert found["baseline_auc_micro_raw"] == 0.5


def test_per_video_the_probability_counts_of_the_combined_score() -> None:
    """One frame far above all others would make them look normal."""
    found = figures(
        clip([0, 0, 0], combined=[0, 1, 3], alarm=[0.0, 0.3, 0.9]),
        clip([0, 1, 1], combined=[1, 5, 90], alarm=[0.3, 0.99, 1.0]),
    )
    assert found["combined_auc_micro_raw"] == 1
    assert found["combined_auc_micro_per_video"] == 6.5 / 8
    assert "motion_auc_micro_per_video" not in found


def test_each_part_of_the_combined_score_is_judged_alone() -> None:
    found = figures(clip([0, 1, 0, 1], combined=[1, 2, 7, 9], motion=[1, 7, 2, 9]))
    assert found["motion_auc_micro_raw"] == 1
    assert found["prediction_auc_micro_raw"] == found["presence_auc_micro_raw"] == 0.5
    assert found["combined_auc_micro_raw"] == 0.75


def test_the_baseline_is_the_flow_magnitude_smoothed_over_a_given_time() -> None:
    labels, speed = [0, 0, 0, 1, 1, 1], [0.0, 0, 1, 1, 0, 2]
    sharp = figures(clip(labels, speed=speed))["baseline_auc_micro_raw"]
    smooth = figures(clip(labels, speed=speed), smoothing_seconds=0.1)["baseline_auc_micro_raw"]
    assert sharp == pytest.approx((3 + 1 + 0.5 * (1 + 2) + 1) / 9)
    assert smooth == 1


def test_per_video_min_max_hides_a_difference_between_videos_that_raw_scores_show() -> None:
    calm_clip, wild = clip([0] * 4, psnr=[40, 39, 38, 37]), clip([1] * 4, psnr=[13, 12, 11, 10])
    found = figures(calm_clip, wild)
    assert found["paper_auc_micro_raw"] == 1
    assert found["paper_auc_micro"] == pytest.approx(0.5)


def test_clips_with_masks_are_judged_by_pixel_too() -> None:
    masks, tile_map = np.zeros((2, 32, 32), np.uint8), np.zeros((2, 16, 16))
    masks[1, 4:8, 6:8] = 1  # two tiles
    tile_map[1, 2:4, 3] = 5
    found = figures(clip([0, 1], masks=masks, tile_map=tile_map), clip([0, 1]))
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
    assert (found["clips"], found["labelled_clips"], found["frames"], found["abnormal_frames"]) == (2, 1, 5, 1)


def test_unlabelled_footage_has_scores_but_no_auc() -> None:
    found, roc = figures_of([clip(None, psnr=[30, 20])], 0.0)
    assert found == {"clips": 1, "frames": 2, "labelled_clips": 0}
    assert roc == []


@pytest.mark.parametrize(("heldout", "training"), [(2, 3), (3, 40), (20, 50)])
def test_where_few_clips_are_held_out_training_clips_join_them(heldout: int, training: int) -> None:
    def clips(split: Split, count: int, scene: str) -> list[Clip]:
        return [
            Clip(f"{split}{scene}{i}", split, "", 64, FPS, 48, 64, "0", "", False, False, scene) for i in range(count)
        ]

    other = [*clips("calibration", 5, "b"), *clips("train", 5, "b"), *clips("test", 5, "a")]
    own = [*clips("calibration", heldout, "a"), *clips("train", training, "a")]
    manifest = Manifest.of(Path(), "street", 32, (*own, *other))
    chosen = normal_clips(manifest, "a")
    assert chosen[:heldout] == own[:heldout]
    assert set(chosen) <= set(own)
    assert len(set(chosen)) == len(chosen) == max(heldout, min(heldout + training, ALARM_CLIPS))
    places = [own.index(clip) - heldout for clip in chosen[heldout:]]
    assert places == sorted(places)
    if places:
        assert np.diff([*places, training]).max() <= math.ceil(training / len(places)), "as many are left out between"
