"""Metrics: frame and pixel AUC on answers that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from stmae.evaluation.metrics import equal_error_rate, macro_auc, micro_auc, min_max, overlap_auc, pixel_auc


def test_micro_is_over_all_frames_and_macro_the_mean_of_videos() -> None:
    scores = [np.array([0.1, 0.9]), np.array([0.9, 0.1])]
    labels = [np.array([0, 1], np.uint8), np.array([0, 1], np.uint8)]
    assert micro_auc(scores, labels) == pytest.approx(0.5)
    assert macro_auc(scores, labels) == pytest.approx((1 + macro_auc(scores[1:], labels[1:])) / 2)


def test_macro_copes_with_a_video_of_one_class() -> None:
    assert macro_auc([np.array([0.2, 0.4])], [np.array([0, 0], np.uint8)]) == pytest.approx(5 / 6)


def test_the_equal_error_rate_is_where_misses_equal_false_alarms() -> None:
    assert equal_error_rate(np.array([0, 0.2, 1]), np.array([0, 0.8, 1])) == pytest.approx(0.2)


def test_pixel_auc_is_that_of_all_pixels_one_by_one() -> None:
    random = np.random.default_rng(0)
    maps = [random.integers(0, 9, (frames, 4, 4)).astype(float) for frames in (3, 5)]
    masks = [(random.random((len(one), 12, 20)) < 0.1 * one.repeat(3, 1).repeat(5, 2)).astype(np.uint8) for one in maps]
    pixels = np.concatenate([one.repeat(3, 1).repeat(5, 2).ravel() for one in maps])
    truth = np.concatenate([mask.ravel() for mask in masks])
    assert pixel_auc(maps, masks) == pytest.approx(roc_auc_score(truth, pixels))


def frame(tiles: list[float], abnormal: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """One frame of 2 x 2 tiles of 10 x 10 pixels: a score a tile, and how many of its pixels are abnormal."""
    mask = np.zeros((2, 2, 100), np.uint8)
    for number, count in enumerate(abnormal):
        mask[number // 2, number % 2, :count] = 1
    pixels = mask.reshape(2, 2, 10, 10).transpose(0, 2, 1, 3).reshape(20, 20)
    return np.array(tiles, float).reshape(2, 2), pixels


@pytest.mark.parametrize(
    ("abnormal", "auc"),
    [
        # Normal frames have a highest tile of 4 and of 6.
        (frame([9, 1, 1, 1], [40, 60, 0, 0]), 1.0),  # the tile of 9 holds 40% of the pixels
        (frame([9, 5, 1, 1], [39, 61, 0, 0]), 0.5),  # 39% are too few: found at 5, between 4 and 6
        (frame([9, 1, 1, 1], [0, 100, 0, 0]), 0.0),  # flagged in the wrong place
        (frame([4, 4, 4, 4], [100, 0, 0, 0]), 0.25),  # as high as the lower false alarm
    ],
)
def test_a_frame_counts_as_found_where_two_fifths_of_its_abnormal_pixels_are_flagged(
    abnormal: tuple[np.ndarray, np.ndarray], auc: float
) -> None:
    frames = [frame([4, 1, 1, 1], [0] * 4), frame([1, 6, 1, 1], [0] * 4), abnormal]
    maps, masks = (np.stack(part) for part in zip(*frames, strict=True))
    assert overlap_auc([maps], [masks]) == pytest.approx(auc)
    assert overlap_auc([maps[:1], maps[1:]], [masks[:1], masks[1:]]) == pytest.approx(auc)


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-50, 50)))
def test_min_max_ends_at_0_and_1_and_keeps_the_order(values: np.ndarray) -> None:
    scaled = min_max(values)
    assert scaled.max() == 1
    assert scaled.min() == (0 if len(np.unique(values)) > 1 else 1)
    assert (np.diff(scaled[np.argsort(values)]) >= 0).all()
