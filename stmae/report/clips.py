"""Scored test clips as the evaluation page shows them, and the choice of the frames that it shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from stmae.datasets.manifest import Clip, Manifest
from stmae.scoring.raw import min_max

Floats = npt.NDArray[np.floating]

ROC_POINTS = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShownClip:
    """A test clip with its scores; arrays start at frame CLIP_FRAMES of the clip."""

    clip: Clip
    fps: float
    psnr: Floats
    combined: Floats
    """The calibrated score, nats."""
    tile_map: Floats
    """[F,16,16] what it is made of."""
    labels: npt.NDArray[np.uint8] | None

    @property
    def paper(self) -> Floats:
        """1 - min-max of PSNR: the paper's score."""
        return 1.0 - min_max(self.psnr)

    def auc(self) -> float | None:
        """Frame AUC of the combined score within the clip; None without labels or where frames are of one class."""
        if self.labels is None or self.labels.min() == self.labels.max():
            return None
        return float(roc_auc_score(self.labels, self.combined))


def shown_clips(entries: list[dict[str, Any]], scores: Any, manifest: Manifest) -> Iterator[ShownClip]:
    """Join the entries of `evaluation.json` with the arrays of `scores.npz` and the manifest's test clips."""
    known = {clip.name: clip for clip in manifest.split("test")}
    for entry in entries:
        name = entry["name"]
        yield ShownClip(
            clip=known[name],
            fps=float(entry["fps"]),
            psnr=scores[f"{name}/psnr"],
            combined=scores[f"{name}/combined"],
            tile_map=scores[f"{name}/tile_map"],
            labels=scores.get(f"{name}/labels"),
        )


def most_wrong(clips: list[ShownClip], label: int | None, *, highest: bool, most: int) -> list[tuple[ShownClip, int]]:
    """The extreme frames of a class by the combined score, no two within a second of a clip.

    `label` None takes all frames. Returns at most `most` of (clip, position in its arrays), the worst first.
    """
    sign = -1.0 if highest else 1.0
    candidates = [
        (sign * float(clip.combined[position]), number, int(position))
        for number, clip in enumerate(clips)
        for position in _positions(clip, label)
    ]
    chosen: list[tuple[int, int]] = []
    for _, number, position in sorted(candidates):
        if all(number != other or abs(position - place) > clips[number].fps for other, place in chosen):
            chosen.append((number, position))
        if len(chosen) == most:
            break
    return [(clips[number], position) for number, position in chosen]


def _positions(clip: ShownClip, label: int | None) -> npt.NDArray[np.intp]:
    if label is None:
        return np.arange(len(clip.combined))
    return np.flatnonzero([] if clip.labels is None else clip.labels == label)


def roc_points(
    roc: Sequence[tuple[float, float, float]], most: int = ROC_POINTS
) -> tuple[list[float], list[float], list[float]]:
    """(fpr, tpr, thresholds) with at most `most` points, evenly along the curve, its ends included."""
    points = np.asarray(roc, np.float64).reshape(-1, 3)
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points[:, :2], axis=0)).sum(axis=1))])
    keep = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], most)).clip(max=len(points) - 1))
    keep = np.union1d(keep, [0, len(points) - 1])[:most] if len(points) > most else np.arange(len(points))
    fpr, tpr, thresholds = points[keep].T.tolist()
    return fpr, tpr, thresholds
