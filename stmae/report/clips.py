"""Test clips with their scores as an evaluation left them, and the choice of the frames that its page shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from stmae.datasets.manifest import Clip, Manifest
from stmae.report.wording import period_of, return_period, short_period
from stmae.scoring import CLAIM

Floats = npt.NDArray[np.floating]

ROC_POINTS = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClipScores:
    """A test clip and its scores; arrays start at frame CLIP_FRAMES of the clip."""

    clip: Clip
    fps: float
    psnr: Floats
    """[F], dB."""
    combined: Floats
    """[F], log10 of the return period in hours, before its bound."""
    heatmap: Floats
    """[F,16,16], highest -log10 p a tile."""
    labels: npt.NDArray[np.uint8] | None
    """[F], 1 = abnormal; None for a clip without truth."""
    calibration_hours: float
    """Normal footage that the return periods of its scene were measured against."""

    @property
    def bound(self) -> float:
        """Returns the score beyond which the calibration tells nothing apart."""
        return float(np.log10(CLAIM * self.calibration_hours))

    def auc(self) -> float | None:
        """Returns the frame AUC within the clip; None without labels or where all frames are of one class."""
        if self.labels is None or self.labels.min() == self.labels.max():
            return None
        return float(roc_auc_score(self.labels, self.combined))

    def rarity(self, position: int) -> str:
        """Says how rare the frame at a position is in normal footage."""
        hours, bounded = period_of(float(self.combined[position]), self.calibration_hours)
        return return_period(hours, bounded=bounded)

    def median_period(self, label: int | None = None) -> str | None:
        """Returns the median return period of all frames or of those of a label; None where no frame has it."""
        values = self.combined[self.positions(label)]
        if not len(values):
            return None
        hours, bounded = period_of(float(np.median(values)), self.calibration_hours)
        return short_period(hours, bounded=bounded)

    def positions(self, label: int | None) -> npt.NDArray[np.intp]:
        """Returns where in its arrays the frames of a label are; of all frames where `label` is None."""
        if label is None:
            return np.arange(len(self.combined))
        return np.flatnonzero([] if self.labels is None else self.labels == label)


def read_clips(evaluation: Mapping[str, Any], scores: Mapping[str, Any], manifest: Manifest) -> Iterator[ClipScores]:
    """Joins the clips of `evaluation.json` with the arrays of `scores.npz` and the manifest's test clips."""
    known = {clip.name: clip for clip in manifest.split("test")}
    for entry in evaluation["clips"]:
        name = entry["name"]
        yield ClipScores(
            clip=known[name],
            fps=float(entry["fps"]),
            psnr=scores[f"{name}/psnr"],
            combined=scores[f"{name}/combined"],
            heatmap=scores[f"{name}/heatmap"],
            labels=scores.get(f"{name}/labels"),
            calibration_hours=float(evaluation["calibration"][known[name].scene]["hours"]),
        )


def extreme_frames(
    clips: Sequence[ClipScores], label: int | None, *, highest: bool, most: int
) -> list[tuple[ClipScores, int]]:
    """Returns the frames of a class with the highest or lowest combined score, no two within a second of a clip.

    `label` None takes all frames. An element is (clip, position in its arrays); at most `most`, the extreme ones first.
    """
    sign = -1.0 if highest else 1.0
    candidates = [
        (sign * float(clip.combined[position]), number, int(position))
        for number, clip in enumerate(clips)
        for position in clip.positions(label)
    ]
    chosen: list[tuple[int, int]] = []
    for _, number, position in sorted(candidates):
        if all(number != other or abs(position - taken) > clips[number].fps for other, taken in chosen):
            chosen.append((number, position))
        if len(chosen) == most:
            break
    return [(clips[number], position) for number, position in chosen]


def roc_points(
    roc: Sequence[tuple[float, float, float]], most: int = ROC_POINTS
) -> tuple[list[float], list[float], list[float]]:
    """Returns (fpr, tpr, thresholds) with at most `most` points, evenly along the curve, its ends included."""
    points = np.asarray(roc, np.float64).reshape(-1, 3)
    if len(points) > most:
        length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points[:, :2], axis=0)).sum(axis=1))])
        keep = np.searchsorted(length, np.linspace(0.0, length[-1], most - 1))
        points = points[np.union1d(keep, [len(points) - 1])]
    fpr, tpr, thresholds = points.T.tolist()
    return fpr, tpr, thresholds
