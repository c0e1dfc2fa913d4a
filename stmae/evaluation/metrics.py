"""How good scores are against labels: of frames (micro, macro, equal error rate) and of pixels.

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
"""Share of an anomaly's pixels that must be flagged for its frame to count as found (UCSD's pixel-level criterion)."""


class OneClassError(ValueError):
    """Labels that are all normal or all abnormal: there is no AUC."""


def micro_auc(scores: Sequence[Floats], labels: Sequence[Labels]) -> float:
    """Frame AUC of all clips concatenated. Raises OneClassError."""
    return _auc(np.concatenate(labels), np.concatenate(scores))


def macro_auc(scores: Sequence[Floats], labels: Sequence[Labels]) -> float:
    """Mean of the clips' frame AUCs; each clip is padded by one lowest normal and one highest abnormal frame,
    as is the custom of the field, since a clip may have one class only."""
    aucs = []
    for clip_scores, clip_labels in zip(scores, labels, strict=True):
        padded = np.concatenate(([clip_scores.min()], clip_scores, [clip_scores.max()]))
        aucs.append(roc_auc_score(np.concatenate(([0], clip_labels, [1])), padded))
    return float(np.mean(aucs))


def equal_error_rate(fpr: Floats, tpr: Floats) -> float:
    """Where the false alarm rate equals the miss rate, interpolated on the ROC."""
    return float(np.interp(0.0, fpr - (1 - tpr), fpr))


def pixel_auc(maps: Sequence[Floats], masks: Sequence[Labels]) -> float:
    """AUC over all pixels of all frames; maps [F,K,K] hold one score for all pixels of a tile, masks [F,H,W] are 0/1.

    Raises OneClassError.
    """
    abnormal = np.concatenate([_share(mask, scores.shape[1]).ravel() for scores, mask in zip(maps, masks, strict=True)])
    scores = np.concatenate([one.ravel() for one in maps])
    labels = np.repeat([1, 0], len(scores))
    weights = np.concatenate([abnormal, 1 - abnormal])
    return _auc(labels, np.concatenate([scores, scores]), weights)


def overlap_auc(maps: Sequence[Floats], masks: Sequence[Labels]) -> float:
    """Frame AUC by the pixel-level criterion: an abnormal frame is found where OVERLAP of its pixels are flagged, a
    normal frame is a false alarm where any pixel is. Raises OneClassError."""
    scores, labels = [], []
    for clip_map, mask in zip(maps, masks, strict=True):
        shares = _share(mask, clip_map.shape[1])
        for tiles, share in zip(clip_map.reshape(len(clip_map), -1), shares.reshape(len(shares), -1), strict=True):
            abnormal = share.sum() > 0
            scores.append(_flagging(tiles, share) if abnormal else tiles.max())
            labels.append(abnormal)
    return _auc(np.array(labels), np.array(scores))


def _auc(labels: npt.NDArray[Any], scores: Floats, weights: Floats | None = None) -> float:
    if len(np.unique(labels if weights is None else labels[weights > 0])) < 2:
        raise OneClassError("labels are all normal or all abnormal: AUC needs both")
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def _flagging(tiles: Floats, share: Floats) -> float:
    """The highest threshold at which OVERLAP of the abnormal pixels are flagged."""
    order = np.argsort(-tiles, kind="stable")
    covered = np.cumsum(share[order])
    return float(tiles[order][np.searchsorted(covered, OVERLAP * covered[-1])])


def _share(masks: Labels, tiles: int) -> Floats:
    """Share of abnormal pixels per tile, [F,K,K]."""
    frames, height, width = masks.shape
    cut = masks.reshape(frames, tiles, height // tiles, tiles, width // tiles)
    return np.asarray(cut.mean(axis=(2, 4), dtype=np.float64))


def min_max(values: Floats) -> Floats:
    """Returns the values of one video scaled to [0, 1] (Eq. 12 of the paper, on PSNR); a constant video becomes 1."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.ones_like(values)
    return (values - low) / (high - low)
