"""Metrics that compare scores with labels: of frames (micro, macro, equal error rate) and of pixels.

Legend: F scored frames, K x K tiles of a map, H x W pixels of a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.uint8]

OVERLAP = 0.4
"""Fraction of an anomaly's pixels that have to be flagged for its frame to be found (UCSD's pixel-level criterion)."""


class OneClassError(ValueError):
    """Labels that are all normal or all abnormal: there is no AUC."""


def micro_auc(scores: Sequence[Floats], labels: Sequence[Labels]) -> float:
    """Returns the frame AUC of all clips concatenated. Raises OneClassError."""
    return _auc(np.concatenate(labels), np.concatenate(scores))


def macro_auc(scores: Sequence[Floats], labels: Sequence[Labels]) -> float:
    """Returns the mean of the clips' frame AUCs.

    A clip may have one class only, so each is padded by one lowest normal and one highest abnormal frame, as is the
    custom of the field.
    """
    aucs = []
    for clip_scores, clip_labels in zip(scores, labels, strict=True):
        padded = np.concatenate(([clip_scores.min()], clip_scores, [clip_scores.max()]))
        aucs.append(roc_auc_score(np.concatenate(([0], clip_labels, [1])), padded))
    return float(np.mean(aucs))


def equal_error_rate(fpr: Floats, tpr: Floats) -> float:
    """Returns the rate at which false alarms and misses are equally frequent, interpolated on the ROC."""
    return float(np.interp(0.0, fpr - (1 - tpr), fpr))


def pixel_auc(maps: Sequence[Floats], masks: Sequence[Labels]) -> float:
    """Returns the AUC over all pixels of all frames. Raises OneClassError.

    Maps [F,K,K] hold one score for all pixels of a tile; masks [F,H,W] are 0 or 1.
    """
    abnormal = np.concatenate(
        [_abnormal(mask, scores.shape[1]).ravel() for scores, mask in zip(maps, masks, strict=True)]
    )
    scores = np.concatenate([one.ravel() for one in maps])
    labels = np.repeat([1, 0], len(scores))
    weights = np.concatenate([abnormal, 1 - abnormal])
    return _auc(labels, np.concatenate([scores, scores]), weights)


def overlap_auc(maps: Sequence[Floats], masks: Sequence[Labels]) -> float:
    """Returns the frame AUC by the pixel-level criterion. Raises OneClassError.

    An abnormal frame is found where OVERLAP of its pixels are flagged; a normal one is a false alarm where any is.
    """
    scores, labels = [], []
    for clip_map, mask in zip(maps, masks, strict=True):
        fractions = _abnormal(mask, clip_map.shape[1])
        for tiles, fraction in zip(
            clip_map.reshape(len(clip_map), -1), fractions.reshape(len(fractions), -1), strict=True
        ):
            abnormal = fraction.sum() > 0
            scores.append(_flagging(tiles, fraction) if abnormal else tiles.max())
            labels.append(abnormal)
    return _auc(np.array(labels), np.array(scores))


def _auc(labels: npt.NDArray[Any], scores: Floats, weights: Floats | None = None) -> float:
    if len(np.unique(labels if weights is None else labels[weights > 0])) < 2:
        raise OneClassError("labels are all normal or all abnormal: AUC needs both")
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def _flagging(tiles: Floats, fraction: Floats) -> float:
    """Returns the highest threshold at which OVERLAP of the abnormal pixels are flagged."""
    order = np.argsort(-tiles, kind="stable")
    covered = np.cumsum(fraction[order])
    return float(tiles[order][np.searchsorted(covered, OVERLAP * covered[-1])])


def _abnormal(masks: Labels, tiles: int) -> Floats:
    """Returns the fraction of abnormal pixels of each tile [F,K,K]."""
    frames, height, width = masks.shape
    cut = masks.reshape(frames, tiles, height // tiles, tiles, width // tiles)
    return np.asarray(cut.mean(axis=(2, 4), dtype=np.float64))


def min_max(values: Floats) -> Floats:
    """Returns the values of one video scaled to [0, 1] (Eq. 12 of the paper, on PSNR); a constant video becomes 1."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.ones_like(values)
    return (values - low) / (high - low)
