"""The evaluation as one self-contained HTML page: figures, ROC, score curves, the most wrong frames."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stmae.data.manifest import Clip, Manifest
from stmae.report import plot
from stmae.report.page import Image, heat_overlay, jpeg_uri, page
from stmae.report.scored import ScoredClip, most_wrong, roc_points, scored_clips
from stmae.score import CLIP_FRAMES

MEANINGS = {
    "paper_auc_micro": (
        "AUC, paper metric",
        "How often an abnormal frame scores above a normal one, all test clips put together. Scores are "
        "scaled to 0..1 within each clip, as the literature does; the figure to compare with papers.",
    ),
    "paper_auc_macro": ("AUC, paper metric, mean of clips", "The same within each clip, then averaged."),
    "raw_auc_micro": (
        "AUC, raw",
        "All test clips put together without scaling: closer to what an operator gets, since a live camera "
        "has no end of the clip to scale by.",
    ),
    "raw_auc_macro": ("AUC, raw, mean of clips", "Raw scores within each clip, then averaged."),
    "paper_eer": (
        "Equal error rate, paper metric",
        "The rate at which as many normal frames are flagged as abnormal frames are missed; lower is better.",
    ),
    "heldout_psnr": (
        "Median PSNR, held-out footage",
        "In dB: how well the model predicts normal footage that it was not trained on.",
    ),
    "clips": ("Test clips", ""),
    "frames": (
        "Frames scored",
        f"The first {CLIP_FRAMES} frames of each clip have no score and are left out.",
    ),
    "abnormal_frames": ("Frames labelled abnormal", ""),
}
COUNTS = ("clips", "frames", "abnormal_frames")

DASH = "&ndash;"
FRAMES_SHOWN = 6
"""Frames a gallery shows."""
PICTURE_WIDTH = 300


def evaluation_report(evaluation_dir: Path, dataset_dir: Path, out: Path) -> Path:
    """Write the page to `out` and return it.

    Reads `evaluation.json` and `scores.npz` of `evaluation_dir` and the frames of the prepared dataset. Works
    for footage without labels: then there is no ROC, and the frames shown are simply the oddest.
    """
    evaluation = json.loads((evaluation_dir / "evaluation.json").read_text(encoding="utf-8"))
    manifest = Manifest.load(dataset_dir)
    with np.load(evaluation_dir / "scores.npz") as scores:
        clips = list(scored_clips(evaluation["clips"], scores, manifest))
    sections = [
        _header(evaluation, clips),
        _figures(evaluation["figures"]),
        _roc_section(evaluation["roc"], evaluation["figures"]),
        *_galleries(clips, manifest),
        _clip_table(clips),
        _curves(clips),
        _configuration(evaluation),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"Evaluation of {evaluation['name']}"
    out.write_text(page(title, "\n".join(filter(None, sections))), encoding="utf-8")
    return out


def _header(evaluation: dict[str, Any], clips: list[ScoredClip]) -> str:
    frames = sum(len(clip.psnr) for clip in clips)
    labelled = [clip.labels for clip in clips if clip.labels is not None]
    truth = (
        f"{sum(int(labels.sum()) for labels in labelled)} of them are labelled abnormal"
        if labelled
        else "the footage has no labels, so nothing here says how good the scores are"
    )
    return (
        f"<h1>Evaluation of {html.escape(evaluation['name'])}</h1>\n"
        f'<p class="soft">{len(clips)} test clips, {frames} scored frames; {truth}. '
        "The model is the last checkpoint; it and its thresholds never saw a test label.</p>"
    )


def _figures(figures: dict[str, float]) -> str:
    rows = []
    for name in [*MEANINGS, *(name for name in figures if name not in MEANINGS)]:
        if name in figures:
            title, meaning = MEANINGS.get(name, (name.replace("_", " "), ""))
            rows.append(
                f'<tr><th>{html.escape(title)}</th><td class="number">{_value(name, figures[name])}</td>'
                f'<td class="soft">{html.escape(meaning)}</td></tr>'
            )
    return (
        '<section><h2>Figures</h2><table><thead><tr><th>figure</th><th class="number">value</th>'
        f"<th>what it means</th></tr></thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


def _value(name: str, value: float) -> str:
    return f"{value:.0f}" if name in COUNTS else f"{value:.4f}"


def _roc_section(roc: list[tuple[float, float, float]], figures: dict[str, float]) -> str:
    if not roc:
        return ""
    fpr, tpr, _ = roc_points(roc, 1000)
    found = [(rate, float(np.interp(rate, fpr, tpr))) for rate in (0.01, 0.05, 0.1, 0.2)]
    rows = "".join(
        f'<tr><td class="number">{rate:.0%}</td><td class="number">{share:.1%}</td></tr>' for rate, share in found
    )
    auc = figures.get("paper_auc_micro")
    label = "ROC curve" + ("" if auc is None else f", area {auc:.4f}")
    return (
        "<section><h2>ROC, all test frames, paper metric</h2>"
        '<div style="display:grid;gap:28px;grid-template-columns:minmax(260px,400px) minmax(200px,1fr)">'
        f"<figure>{plot.roc(fpr, tpr, label=label)}</figure>"
        "<div><table><caption>Reading the curve</caption><thead><tr>"
        '<th class="number">normal frames flagged</th>'
        f'<th class="number">abnormal frames found</th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</div></section>"
    )


def _galleries(clips: list[ScoredClip], manifest: Manifest) -> Iterator[str]:
    tiles = np.concatenate([clip.error_tiles.reshape(-1) for clip in clips]) if clips else np.zeros(1)
    vmax = float(np.quantile(tiles, 0.999))
    galleries = [
        ("Highest scores", "The frames that the model finds oddest in their clip.", None, True),
        ("Normal frames with the highest scores", "What would be false alarms first.", 0, True),
        ("Abnormal frames with the lowest scores", "What would be missed first.", 1, False),
    ]
    if not any(clip.labels is not None for clip in clips):
        galleries = galleries[:1]
    for title, text, label, highest in galleries:
        chosen = most_wrong(clips, label, highest=highest, most=FRAMES_SHOWN)
        pictures = "".join(_picture(clip, manifest, position, vmax) for clip, position in chosen)
        scale = f"Right of each frame its error map; the brightest colour is a mean squared error of {vmax:.2g}."
        body = f'<div class="gallery">{pictures}</div>' if chosen else "<p>There are none.</p>"
        yield f'<section><h2>{title}</h2><p class="soft">{text} {scale}</p>{body}</section>'


def _picture(scored: ScoredClip, manifest: Manifest, position: int, vmax: float) -> str:
    frame = position + CLIP_FRAMES
    image = _original_aspect(np.asarray(manifest.frames(scored.clip)[frame]), scored.clip)
    overlay = heat_overlay(image, scored.error_tiles[position], vmax)
    name = html.escape(scored.clip.name)
    alt = f"clip {name}, frame {frame}"
    return (
        f'<figure><div class="pair"><img src="{jpeg_uri(image)}" alt="{alt}">'
        f'<img src="{jpeg_uri(overlay)}" alt="error map of {alt}"></div>'
        f'<figcaption>clip <a href="#clip-{name}">{name}</a>, frame {frame} ({frame / scored.fps:.1f} s): '
        f"score {scored.anomaly[position]:.2f}, {scored.psnr[position]:.1f} dB</figcaption></figure>"
    )


def _original_aspect(image: Image, clip: Clip) -> Image:
    """Undo the preparation's squeeze to a square."""
    size = (PICTURE_WIDTH, max(round(PICTURE_WIDTH * clip.height / clip.width), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _clip_table(clips: list[ScoredClip]) -> str:
    def worst_first(clip: ScoredClip) -> tuple[bool, float]:
        auc = clip.auc()
        return auc is None, 0.0 if auc is None else auc

    labelled = any(clip.labels is not None for clip in clips)
    heads = ("frames", "median PSNR (dB)", "of normal", "of abnormal", "abnormal frames", "AUC")
    rows = []
    for clip in sorted(clips, key=worst_first):
        auc, name = clip.auc(), html.escape(clip.clip.name)
        cells = [
            str(len(clip.psnr)),
            f"{np.median(clip.psnr):.1f}",
            _median(clip, 0),
            _median(clip, 1),
            DASH if clip.labels is None else str(int(clip.labels.sum())),
            DASH if auc is None else f"{auc:.4f}",
        ]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells[: 6 if labelled else 2])
        rows.append(f'<tr><th><a href="#clip-{name}">{name}</a></th>{numbers}</tr>')
    columns = "".join(f'<th class="number">{head}</th>' for head in heads[: 6 if labelled else 2])
    title = "Clips, worst first" if labelled else "Clips"
    note = '<p class="soft">A dash: no labels, or all frames of the clip are of one class.</p>' if labelled else ""
    return (
        f"<section><h2>{title}</h2><table><thead><tr><th>clip</th>{columns}"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>{note}</section>"
    )


def _median(clip: ScoredClip, label: int) -> str:
    values = clip.psnr[clip.labels == label] if clip.labels is not None else clip.psnr[:0]
    return f"{np.median(values):.1f}" if len(values) else DASH


def _curves(clips: list[ScoredClip]) -> str:
    figures = []
    for clip in clips:
        times = (np.arange(len(clip.psnr)) + CLIP_FRAMES) / clip.fps
        shaded = [] if clip.labels is None else plot.spans(clip.labels)
        seconds = [((start + CLIP_FRAMES) / clip.fps, (stop + CLIP_FRAMES) / clip.fps) for start, stop in shaded]
        name, auc = html.escape(clip.clip.name), clip.auc()
        facts = f"{clip.psnr.min():.1f} to {clip.psnr.max():.1f} dB" + ("" if auc is None else f", AUC {auc:.4f}")
        drawing = plot.curve(times, clip.anomaly, shaded=seconds, label=f"anomaly score of clip {clip.clip.name}")
        figures.append(f'<figure id="clip-{name}"><h3>{name} <span class="soft">{facts}</span></h3>{drawing}</figure>')
    key = ""
    if any(clip.labels is not None for clip in clips):
        key = '<br><span class="key" style="background:var(--span);margin-left:0"></span>labelled abnormal'
    return (
        '<section><h2>Anomaly score over time</h2><p class="soft">1 is the least predictable frame of the '
        f"clip (lowest PSNR), 0 the most predictable one.{key}</p>{''.join(figures)}</section>"
    )


def _configuration(evaluation: dict[str, Any]) -> str:
    text = html.escape(json.dumps(evaluation.get("config", {}), indent=2, sort_keys=True))
    return f"<section><details><summary>Configuration of the run</summary><pre>{text}</pre></details></section>"
