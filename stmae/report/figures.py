"""What the evaluation page says in numbers: its scores against the labels, and published figures beside them."""

from __future__ import annotations

import html
from collections.abc import Iterable

from stmae.report.papers import published
from stmae.scoring.raw import CLIP_FRAMES


def _aucs(score: str) -> tuple[str, str, str]:
    return f"{score}_auc_micro_raw", f"{score}_auc_micro_per_video", f"{score}_auc_macro"


SCORES = (
    (
        "Combined",
        "what is surprising among this camera's normal footage: prediction, motion, appearance, presence",
        _aucs("combined"),
    ),
    (
        "&ndash; prediction alone",
        "tiles that are predicted worse than usual",
        _aucs("prediction"),
    ),
    (
        "&ndash; motion alone",
        "tiles that move as nothing does there",
        _aucs("motion"),
    ),
    (
        "&ndash; appearance alone",
        "tiles that move and look like nothing that was seen to move",
        _aucs("appearance"),
    ),
    (
        "&ndash; presence alone",
        "tiles that show, for seconds, what is not usual there",
        _aucs("presence"),
    ),
    (
        "Flow magnitude",
        "the baseline, which has learnt nothing of the camera: how fast the fastest tiles move",
        _aucs("baseline"),
    ),
    (
        "Paper's metric",
        "the PSNR of the prediction alone (Eq. 12)",
        ("paper_auc_micro_raw", "paper_auc_micro", "paper_auc_macro"),
    ),
)
"""Name, meaning and figures: raw, per video, mean of clips. A part of the combined score has none per video."""
OWN = (
    ("This run: paper's metric", "paper_auc_micro", "PSNR alone, per video"),
    ("This run: combined", "combined_auc_micro_per_video", "per video"),
    ("This run: combined", "combined_auc_micro_raw", "raw"),
)
"""What is shown beside published figures: name, figure, how it was taken."""
MEANINGS = {
    "pixel_auc": (
        "Pixel AUC",
        "How often a pixel labelled abnormal lies on an odder tile of the tile map than a normal one.",
    ),
    "overlap_auc": (
        "AUC at 40% overlap",
        "An abnormal frame counts as found only where 40% of its labelled pixels are flagged; any flagged tile of a "
        "normal frame is a false alarm.",
    ),
    "combined_eer": (
        "Equal error rate",
        "Of the combined score: as many normal frames are flagged as abnormal ones are missed. Lower is better.",
    ),
    "calibration_psnr": (
        "Median PSNR, held-out footage",
        "In dB: how well the model predicts normal footage that it was not trained on.",
    ),
    "clips": ("Test clips", ""),
    "frames": ("Frames scored", f"The first {CLIP_FRAMES} frames of each clip have no score and are left out."),
    "abnormal_frames": ("Frames labelled abnormal", ""),
}
COUNTS = ("clips", "frames", "abnormal_frames")


def figures_section(figures: dict[str, float]) -> str:
    """All figures of an evaluation; those of no name here come last. Without labels there is no AUC."""
    tables = [_auc_table(figures)] if SCORES[0][2][0] in figures else []
    named = {figure for *_, names in SCORES for figure in names}
    order = [*MEANINGS, *figures]
    rows = []
    for name in sorted(figures.keys() - named, key=order.index):
        title, meaning = MEANINGS.get(name, (name.replace("_", " "), ""))
        value = f"{figures[name]:.0f}" if name in COUNTS else f"{figures[name]:.4f}"
        rows.append(
            f'<tr><th>{html.escape(title)}</th><td class="number">{value}</td>'
            f'<td class="soft">{html.escape(meaning)}</td></tr>'
        )
    tables.append(_table(("figure", "=value", "what it means"), rows))
    return f"<section><h2>Figures</h2>{''.join(tables)}</section>"


def published_section(dataset: str, figures: dict[str, float]) -> str:
    """The run's figures among those of the literature; empty where there are none or nothing is labelled."""
    papers = published(dataset)
    if not papers or OWN[0][1] not in figures:
        return ""
    own = [
        f'<tr><th>{name}</th><td></td><td class="number"><b>{figures[figure]:.3f}</b></td>'
        f'<td class="soft">{how}; last checkpoint</td></tr>'
        for name, figure, how in OWN
    ]
    others = [
        f'<tr><td>{html.escape(paper.method)}</td><td class="soft">{html.escape(paper.venue)}</td>'
        f'<td class="number">{paper.auc:.3f}</td><td class="soft">{html.escape(paper.source)}</td></tr>'
        for paper in papers
    ]
    return (
        '<section><h2>Beside published figures</h2><p class="soft">Frame AUCs as the papers state them: quoted, not '
        "reproduced. Their protocols differ: many scale scores within each video or choose the checkpoint on test "
        f"data, and few say so.</p>{_table(('method', 'venue', '=AUC', 'source'), [*own, *others])}</section>"
    )


def _auc_table(figures: dict[str, float]) -> str:
    rows = []
    for name, meaning, names in SCORES:
        cells = "".join(
            f'<td class="number">{f"{figures[figure]:.4f}" if figure in figures else "&ndash;"}</td>'
            for figure in names
        )
        rows.append(f'<tr><th>{name}</th><td class="soft">{meaning}</td>{cells}</tr>')
    return (
        _table(("frame AUC of", "", "=raw", "=per video", "=mean of clips"), rows)
        + '<p class="soft">The AUC is how often an abnormal frame scores above a normal one. <b>Raw</b>: all test '
        "frames put together as they are, which is what an operator gets. <b>Per video</b>: scores are first scaled to "
        "0..1 within each clip, as the literature does; no live camera can, for want of an end to scale by. Of the "
        "combined score that is the probability of an anomaly that it stands for, a half where an event ends. "
        "<b>Mean of clips</b>: the AUC within each clip, averaged.</p>"
    )


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    """Heads that begin with = are those of numbers."""
    cells = "".join(
        f'<th class="number">{head[1:]}</th>' if head.startswith("=") else f"<th>{head}</th>" for head in heads
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
