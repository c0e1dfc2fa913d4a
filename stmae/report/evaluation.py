"""The evaluation as one self-contained HTML page: figures beside published ones, ROC, pictures, score curves."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stmae.datasets.manifest import Manifest
from stmae.report import plots as plot
from stmae.report.figures import figures_section, published_section
from stmae.report.gallery import galleries, localisation
from stmae.report.page import page
from stmae.report.clips import ShownClip, roc_points, shown_clips
from stmae.scoring.calibration import Calibration, calibration_file
from stmae.scoring.raw import CLIP_FRAMES

DASH = "&ndash;"


def evaluation_report(evaluation_dir: Path, dataset_dir: Path, out: Path) -> Path:
    """Write the page to `out` and return it.

    Reads `evaluation.json`, the calibrations and `scores.npz` of `evaluation_dir` and the frames of the prepared
    dataset. Works for footage without labels: then there is no AUC, and the frames shown are simply the oddest.
    """
    evaluation = json.loads((evaluation_dir / "evaluation.json").read_text(encoding="utf-8"))
    manifest = Manifest.load(dataset_dir)
    alarms = {scene: _alarm(evaluation_dir / calibration_file(scene)) for scene in manifest.scenes}
    with np.load(evaluation_dir / "scores.npz") as scores:
        clips = list(shown_clips(evaluation["clips"], scores, manifest))
    figures = evaluation["figures"]
    sections = [
        _header(evaluation, clips),
        figures_section(figures),
        published_section(evaluation["config"]["data"]["reader"], figures),
        _roc_section(evaluation["roc"], figures),
        localisation(clips, manifest),
        *galleries(clips, manifest),
        _clip_table(clips),
        _curves(clips, alarms),
        _learning_section(evaluation["curve"]),
        _configuration(evaluation),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"Evaluation of {evaluation['name']}"
    out.write_text(page(title, "\n".join(filter(None, sections))), encoding="utf-8")
    return out


def _alarm(calibration: Path) -> float:
    return Calibration.from_json(calibration.read_text(encoding="utf-8")).enter


def _header(evaluation: dict[str, Any], clips: list[ShownClip]) -> str:
    frames = sum(len(clip.combined) for clip in clips)
    labelled = [clip.labels for clip in clips if clip.labels is not None]
    truth = (
        f"{_of_them(labelled, clips)}{sum(int(labels.sum()) for labels in labelled)} are labelled abnormal"
        if labelled
        else "the footage has no labels, so nothing here says how good the scores are"
    )
    return (
        f"<h1>Evaluation of {html.escape(evaluation['name'])}</h1>\n"
        f'<p class="soft">{len(clips)} test clips, {frames} scored frames; {truth}. '
        "The model is the last checkpoint; it and its thresholds never saw a test label.</p>"
    )


def _of_them(labelled: Sequence[npt.NDArray[np.uint8]], clips: Sequence[ShownClip]) -> str:
    if len(labelled) == len(clips):
        return "of these "
    frames = sum(map(len, labelled))
    return f"{len(labelled)} of the clips have labels, and all figures are of them: of their {frames} frames "


def _roc_section(roc: list[tuple[float, float, float]], figures: dict[str, float]) -> str:
    if not roc:
        return ""
    fpr, tpr, _ = roc_points(roc, 1000)
    found = [(rate, float(np.interp(rate, fpr, tpr))) for rate in (0.01, 0.05, 0.1, 0.2)]
    rows = "".join(
        f'<tr><td class="number">{rate:.0%}</td><td class="number">{share:.1%}</td></tr>' for rate, share in found
    )
    label = f"ROC curve, area {figures['combined_auc_micro_raw']:.4f}"
    return (
        "<section><h2>ROC, all test frames, combined score</h2>"
        '<div style="display:grid;gap:28px;grid-template-columns:minmax(260px,400px) minmax(200px,1fr)">'
        f"<figure>{plot.roc(fpr, tpr, label=label)}</figure>"
        "<div><table><caption>Reading the curve</caption><thead><tr>"
        '<th class="number">normal frames flagged</th>'
        f'<th class="number">abnormal frames found</th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</div></section>"
    )


def _clip_table(clips: list[ShownClip]) -> str:
    def worst_first(clip: ShownClip) -> tuple[bool, float]:
        auc = clip.auc()
        return auc is None, 0.0 if auc is None else auc

    labelled = any(clip.labels is not None for clip in clips)
    heads = ("frames", "median score", "of normal", "of abnormal", "abnormal frames", "AUC")
    rows = []
    for clip in sorted(clips, key=worst_first):
        auc, name = clip.auc(), html.escape(clip.clip.name)
        cells = [
            str(len(clip.combined)),
            f"{np.median(clip.combined):.1f}",
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


def _median(clip: ShownClip, label: int) -> str:
    values = clip.combined[clip.labels == label] if clip.labels is not None else clip.combined[:0]
    return f"{np.median(values):.1f}" if len(values) else DASH


def _curves(clips: list[ShownClip], alarms: Mapping[str, float]) -> str:
    """`alarms`: where events start, by scene."""
    top = 1.05 * max([*alarms.values(), *(float(clip.combined.max()) for clip in clips)])
    figures = []
    for clip in clips:
        times = (np.arange(len(clip.combined)) + CLIP_FRAMES) / clip.fps
        shaded = [] if clip.labels is None else plot.spans(clip.labels)
        seconds = [((start + CLIP_FRAMES) / clip.fps, (stop + CLIP_FRAMES) / clip.fps) for start, stop in shaded]
        name, auc = html.escape(clip.clip.name), clip.auc()
        facts = f"{clip.combined.min():.1f} to {clip.combined.max():.1f} nats" + (
            "" if auc is None else f", AUC {auc:.4f}"
        )
        label = f"anomaly score of clip {clip.clip.name}"
        drawing = plot.curve(
            times,
            clip.combined,
            top=top,
            beside=clip.paper,
            threshold=alarms[clip.clip.scene],
            shaded=seconds,
            label=label,
        )
        figures.append(f'<figure id="clip-{name}"><h3>{name} <span class="soft">{facts}</span></h3>{drawing}</figure>')
    key = ""
    if any(clip.labels is not None for clip in clips):
        key = '<br><span class="key" style="background:var(--span);margin-left:0"></span>labelled abnormal'
    return (
        '<section><h2>Anomaly score over time</h2><p class="soft">The combined score in nats: about one normal frame '
        "in a thousand, or fewer, has 7. The dashed line is where an event starts. The thin line is the paper's score, "
        f"from the most (0) to the least (1) predictable frame of the clip.{key}</p>{''.join(figures)}</section>"
    )


def _learning_section(curve: list[dict[str, Any]]) -> str:
    """PSNR on held-out normal clips after each epoch of adversarial training."""
    psnr = [row["calibration"]["psnr"] for row in curve if "psnr" in row["calibration"]]
    if len(psnr) < 2:
        return ""
    every = -(-len(psnr) // 12)
    drawing = plot.lines(
        {"psnr": [[value] for value in psnr]},
        at=[f"{epoch}" if epoch % every == 0 else "" for epoch in range(1, len(psnr) + 1)],
        colours=["var(--accent)"],
        label="PSNR on held-out clips over epochs",
        width=1000,
        height=220,
    )
    return (
        '<section><h2>Learning curve</h2><p class="soft">Mean PSNR in dB of predictions on held-out normal clips after '
        "each epoch of adversarial training. A curve that still rises asks for more epochs; one that falls, for more "
        f"footage.</p><figure>{drawing}</figure></section>"
    )


def _configuration(evaluation: dict[str, Any]) -> str:
    text = html.escape(json.dumps(evaluation["config"], indent=2, sort_keys=True))
    return f"<section><details><summary>Configuration of the run</summary><pre>{text}</pre></details></section>"
