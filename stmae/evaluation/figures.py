"""The figures of an evaluation: AUCs of every row by every transform, and of the heat map.

The transforms are those of the field: frames of all clips as they are (raw), the mean of the clips' own AUCs (macro),
and frames of all clips after min-max scaling of each (per video). With the last, PSNR is the paper's metric.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.metrics import roc_curve

from stmae.evaluation import ROWS, metrics
from stmae.scoring.raw import Floats, RawScores

BASELINE_TILES = 4
"""Fastest tiles whose mean speed is the baseline."""
BASELINE_SIGMA_SECONDS = 0.7
"""Standard deviation of the Gaussian that smooths the baseline."""

Roc = list[tuple[float, float, float]]
"""False positive rate, true positive rate and threshold."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredClip:
    """A test clip with its truth and its scores; all arrays begin at the fifth frame."""

    name: str
    fps: float
    labels: npt.NDArray[np.uint8] | None
    masks: npt.NDArray[np.uint8] | None
    """[F,S,S], mapped from disk."""
    raw: RawScores
    combined: Floats
    """[F] log10 of the return period in hours, before its bound."""
    log10_p: Floats
    """[F,D] of the detectors."""
    heatmap: Floats
    """[F,16,16]."""

    def row(self, name: str) -> Floats:
        """Returns the anomaly score [F] of one of ROWS."""
        match name:
            case "combined":
                return self.combined
            case "psnr":
                return -self.raw.psnr
            case "flow_magnitude":
                return flow_magnitude(self.raw.flow_tiles, self.fps)
            case _:
                return np.asarray(self.log10_p[:, ROWS.index(name) - 1])


def flow_magnitude(flow_tiles_F2RC: Floats, fps: float) -> Floats:
    """Returns the mean speed of the BASELINE_TILES fastest tiles [F], pixels a frame, smoothed over time."""
    speed = np.hypot(flow_tiles_F2RC[:, 0], flow_tiles_F2RC[:, 1]).reshape(len(flow_tiles_F2RC), -1)
    fastest = np.partition(speed, -BASELINE_TILES, axis=1)[:, -BASELINE_TILES:].mean(axis=1)
    return np.asarray(ndimage.gaussian_filter1d(fastest.astype(np.float64), BASELINE_SIGMA_SECONDS * fps))


def figures_of(clips: Sequence[ScoredClip]) -> tuple[dict[str, float], Roc]:
    """Returns the figures of the labelled clips and the ROC of the combined score; without labels, counts only."""
    labelled = [(clip, clip.labels) for clip in clips if clip.labels is not None]
    counts = {"clips": len(clips), "frames": sum(len(clip.raw) for clip in clips), "labelled_clips": len(labelled)}
    figures: dict[str, float] = dict(counts)
    labels = [truth for _, truth in labelled]
    if not labelled or len(np.unique(np.concatenate(labels))) < 2:
        return figures, []
    figures["abnormal_frames"] = sum(int(truth.sum()) for truth in labels)
    for row in ROWS:
        scores = [clip.row(row) for clip, _ in labelled]
        figures[f"{row}_auc_micro_raw"] = metrics.micro_auc(scores, labels)
        figures[f"{row}_auc_macro"] = metrics.macro_auc(scores, labels)
        figures[f"{row}_auc_micro_per_video"] = metrics.micro_auc([metrics.min_max(one) for one in scores], labels)
    combined = np.concatenate([clip.combined for clip, _ in labelled])
    fpr, tpr, thresholds = roc_curve(np.concatenate(labels), combined)
    figures["combined_eer"] = metrics.equal_error_rate(fpr, tpr)
    figures |= _pixel_figures(clips)
    finite = np.minimum(thresholds, float(combined.max()))  # the first is infinite: nothing is flagged
    return figures, [(float(x), float(y), float(t)) for x, y, t in zip(fpr, tpr, finite, strict=True)]


def _pixel_figures(clips: Sequence[ScoredClip]) -> dict[str, float]:
    """Returns the AUCs of the heat maps against the masks, as far as these have both classes."""
    masked = [(clip.heatmap, clip.masks) for clip in clips if clip.masks is not None]
    figures: dict[str, float] = {}
    for name, auc in (("pixel_auc", metrics.pixel_auc), ("overlap_auc", metrics.overlap_auc)):
        with contextlib.suppress(metrics.OneClassError):
            if masked:
                figures[name] = auc([heatmap for heatmap, _ in masked], [masks for _, masks in masked])
    return figures
