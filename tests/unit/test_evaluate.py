"""Evaluation: AUCs on curves whose AUC is known."""

from __future__ import annotations

import numpy as np
import pytest

from stmae.evaluate import ClipScores, equal_error_rate, figures_of, macro_auc, micro_auc


def clip(psnr: list[float], labels: list[int] | None) -> ClipScores:
    n = len(psnr)
    truth = None if labels is None else np.array(labels, np.uint8)
    return ClipScores("a", 10.0, truth, np.array(psnr, np.float32), np.zeros((n, 2)), np.zeros((n, 16, 16)))


def test_low_psnr_on_abnormal_frames_is_a_perfect_score() -> None:
    figures, roc = figures_of([clip([30, 31, 10, 11], [0, 0, 1, 1])])
    assert figures["paper_auc_micro"] == figures["raw_auc_micro"] == figures["paper_auc_macro"] == 1
    assert figures["paper_eer"] == 0
    assert roc[0][:2] == (0, 0)
    assert roc[-1][:2] == (1, 1)
    assert all(np.isfinite(point).all() for point in roc)


def test_per_video_min_max_hides_a_difference_between_videos_that_raw_scores_show() -> None:
    calm, wild = clip([40, 39, 38, 37], [0, 0, 0, 0]), clip([13, 12, 11, 10], [1, 1, 1, 1])
    figures, _ = figures_of([calm, wild])
    assert figures["raw_auc_micro"] == 1
    assert figures["paper_auc_micro"] == pytest.approx(0.5)


def test_micro_is_over_all_frames_and_macro_the_mean_of_videos() -> None:
    scores = [np.array([0.1, 0.9]), np.array([0.9, 0.1])]
    labels = [np.array([0, 1], np.uint8), np.array([0, 1], np.uint8)]
    assert micro_auc(scores, labels) == pytest.approx(0.5)
    assert macro_auc(scores, labels) == pytest.approx((1 + macro_auc(scores[1:], labels[1:])) / 2)


def test_macro_copes_with_a_video_of_one_class() -> None:
    assert macro_auc([np.array([0.2, 0.4])], [np.array([0, 0], np.uint8)]) == pytest.approx(5 / 6)


def test_unlabelled_footage_has_scores_but_no_auc() -> None:
    figures, roc = figures_of([clip([30, 20], None)])
    assert figures == {"clips": 1, "frames": 2}
    assert roc == []


def test_the_equal_error_rate_is_where_misses_equal_false_alarms() -> None:
    assert equal_error_rate(np.array([0, 0.2, 1]), np.array([0, 0.8, 1])) == pytest.approx(0.2)
