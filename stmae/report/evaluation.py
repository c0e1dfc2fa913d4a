"""The evaluation as one self-contained HTML page: figures beside published ones, ROC, pictures, score curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stmae.datasets.manifest import Manifest
from stmae.report import figures as tables
from stmae.report import gallery, plots
from stmae.report.clips import ClipScores, read_clips, roc_points
from stmae.report.page import render
from stmae.report.pictures import Picture, svg
from stmae.scoring import CLAIM
from stmae.scoring.raw import CLIP_FRAMES

ROOM_ABOVE = 3.0
"""Decades of return period beyond the longest bound that score curves show."""
LOWEST = -5.0
"""The lowest score that score curves show: about once a frame."""
FALSE_ALARM_RATES = (0.01, 0.05, 0.1, 0.2)


class ClipRow(NamedTuple):
    """A clip in the table and its curve; a value is None where labels say nothing of it."""

    name: str
    frames: int
    period: str | None
    normal_period: str | None
    abnormal_period: str | None
    abnormal_frames: int | None
    auc: float | None
    curve: Picture


def evaluation_report(evaluation_dir: Path, dataset_dir: Path, out: Path) -> Path:
    """Writes the page to `out` and returns it.

    It reads `evaluation.json` and `scores.npz` of `evaluation_dir` and the frames of the prepared dataset. Footage
    without labels has no AUC, and the frames shown are simply those of the highest scores.
    """
    evaluation = json.loads((evaluation_dir / "evaluation.json").read_text(encoding="utf-8"))
    manifest = Manifest.load(dataset_dir)
    with np.load(evaluation_dir / "scores.npz") as scores:
        clips = list(read_clips(evaluation, scores, manifest))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_page(evaluation, manifest, clips), encoding="utf-8")
    return out


def _page(evaluation: Mapping[str, Any], manifest: Manifest, clips: Sequence[ClipScores]) -> str:
    figures = evaluation["figures"]
    own, papers = tables.published_rows(evaluation["config"]["data"]["reader"], figures)
    labelled = [clip.labels for clip in clips if clip.labels is not None]
    return render(
        "evaluation.html.j2",
        name=evaluation["name"],
        seed=evaluation["seed"],
        frames=sum(len(clip.combined) for clip in clips),
        labelled_clips=len(labelled),
        labelled_frames=sum(map(len, labelled)),
        abnormal_frames=sum(int(labels.sum()) for labels in labelled),
        calibration=evaluation["calibration"],
        bound_factor=CLAIM,
        aucs=tables.auc_rows(figures),
        transforms=tables.TRANSFORMS.values(),
        others=tables.figure_rows(figures),
        own=own,
        papers=papers,
        roc=_roc(evaluation["roc"], figures),
        found=_found(evaluation["roc"]),
        localisation=gallery.localisation(clips, manifest),
        truth_colour=gallery.TRUTH,
        box_colour=gallery.BOX,
        galleries=gallery.galleries(clips, manifest),
        brightest=gallery.brightest(clips),
        clips=_clip_rows(clips),
        learning_curve=_learning_curve(evaluation["curve"]),
        config=json.dumps(evaluation["config"], indent=2, sort_keys=True),
    )


def _roc(roc: Sequence[tuple[float, float, float]], figures: tables.Figures) -> Picture | None:
    if not roc:
        return None
    fpr, tpr, _ = roc_points(roc, 1000)
    title = f"ROC curve, area {figures['combined_auc_micro_raw']:.4f}"
    return svg(plots.roc(fpr, tpr, title=title), title)


def _found(roc: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Returns (false positive rate, true positive rate) at FALSE_ALARM_RATES."""
    if not roc:
        return []
    fpr, tpr, _ = roc_points(roc, 1000)
    return [(rate, float(np.interp(rate, fpr, tpr))) for rate in FALSE_ALARM_RATES]


def _clip_rows(clips: Sequence[ClipScores]) -> list[ClipRow]:
    """Returns a row a clip, in the order of the evaluation."""
    lowest = min((float(clip.combined.min()) for clip in clips), default=0.0)
    highest = max((float(clip.combined.max()) for clip in clips), default=1.0)
    bound = max((clip.bound for clip in clips), default=0.0)
    limits = (max(lowest, LOWEST) - 0.2, max(min(highest, bound + ROOM_ABOVE), bound) + 0.2)
    return [
        ClipRow(
            name=clip.clip.name,
            frames=len(clip.combined),
            period=clip.median_period(),
            normal_period=clip.median_period(0),
            abnormal_period=clip.median_period(1),
            abnormal_frames=None if clip.labels is None else int(clip.labels.sum()),
            auc=clip.auc(),
            curve=_curve(clip, limits),
        )
        for clip in clips
    ]


def _curve(clip: ClipScores, limits: tuple[float, float]) -> Picture:
    title = f"anomaly score of clip {clip.clip.name}"
    runs = [] if clip.labels is None else plots.spans(clip.labels)
    drawing = plots.score_curve(
        (np.arange(len(clip.combined)) + CLIP_FRAMES) / clip.fps,
        clip.combined,
        clip.psnr,
        limits=limits,
        bound=clip.bound,
        labelled=[((start + CLIP_FRAMES) / clip.fps, (stop + CLIP_FRAMES) / clip.fps) for start, stop in runs],
        title=title,
    )
    return svg(drawing, title)


def _learning_curve(curve: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Draws the PSNR on the calibration split at points of the training; None where there are fewer than two."""
    points = [row for row in curve if "psnr" in row["calibration"]]
    if len(points) < 2:
        return None
    title = "PSNR on the calibration split by step"
    drawing = plots.lines(
        {"PSNR": [[row["calibration"]["psnr"]] for row in points]},
        at=[f"{row['step']:,}" for row in points],
        x_label="step",
        y_label="PSNR, dB",
        title=title,
    )
    return svg(drawing, title)
