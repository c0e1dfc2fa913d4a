"""The figures of an evaluation in words: its scores against the labels, and published figures beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stmae.report.papers import Published, published
from stmae.scoring.raw import CLIP_FRAMES

Figures = Mapping[str, float]


class Words(NamedTuple):
    """What a figure, a score or a transform is called, and what it means."""

    name: str
    meaning: str


SCORES = {
    "combined": Words("Combined", "the detectors together: the score that events are made from"),
    "prediction": Words("Prediction", "tiles that are predicted worse than normal"),
    "motion": Words("Motion", "motion that is rare or new at its place"),
    "appearance": Words("Appearance", "what moves looks like nothing that moved in normal footage"),
    "persistence": Words("Persistence", "something stays for seconds where nothing normally does"),
    "psnr": Words("PSNR", "the paper's score (Eq. 12): how well the whole frame is predicted"),
    "flow_magnitude": Words("Flow magnitude", "the baseline, which learns nothing: how fast the fastest tiles move"),
}
"""Score -> words. A figure of it is called `<score>_<transform>`."""
TRANSFORMS = {
    "auc_micro_raw": Words("raw", "all test frames together, scores as they are: what an operator gets."),
    "auc_macro": Words("mean of clips", "the AUC within each clip, averaged over the clips."),
    "auc_micro_per_video": Words(
        "per video",
        "all test frames together, after each clip's scores were scaled to 0..1, as the literature does. No live "
        "camera can, for want of an end to scale by. PSNR per video is the paper's metric.",
    ),
}
OTHERS = {
    "combined_eer": Words(
        "Equal error rate",
        "The rate at which the combined score flags as many normal frames as it misses abnormal ones. Lower is better.",
    ),
    "pixel_auc": Words(
        "Pixel AUC",
        "How often a pixel labelled abnormal lies on a tile of the heat map that is rarer than that of a normal pixel.",
    ),
    "overlap_auc": Words(
        "AUC at 40% overlap",
        "An abnormal frame counts as found only where 40% of its labelled pixels are flagged; any flagged tile of a "
        "normal frame is a false alarm.",
    ),
    "calibration_psnr": Words(
        "PSNR, calibration split",
        "In dB: how well the model predicts normal footage that it was not trained on.",
    ),
    "memory_db": Words(
        "Worth of the memories",
        "In dB: by how much that falls if every query reads the same, the mean of all reads.",
    ),
    "appearance_items": Words(
        "Distinct items, appearance", "Memory items of the appearance stream that are no copies of others."
    ),
    "motion_items": Words("Distinct items, motion", "Memory items of the motion stream that are no copies of others."),
    "appearance_entropy": Words(
        "Entropy of a read, appearance",
        "From 0, where a read takes one item, to 1, where it takes the mean of all.",
    ),
    "motion_entropy": Words("Entropy of a read, motion", "The same of the motion stream."),
    "clips": Words("Test clips", ""),
    "labelled_clips": Words("Test clips with labels", "All AUCs are of these."),
    "frames": Words("Frames scored", f"The first {CLIP_FRAMES} frames of each clip have no score and are left out."),
    "abnormal_frames": Words("Frames labelled abnormal", ""),
}
COUNTS = ("clips", "labelled_clips", "frames", "abnormal_frames", "appearance_items", "motion_items")
OWN = (
    ("psnr_auc_micro_per_video", "PSNR, the paper's metric", "per video"),
    ("combined_auc_micro_per_video", "combined", "per video"),
    ("combined_auc_micro_raw", "combined", "raw"),
)
"""What of a run stands beside published figures: figure, score, transform."""


class AucRow(NamedTuple):
    """A score's frame AUCs, in the order of TRANSFORMS; None where there is none."""

    words: Words
    aucs: list[float | None]


class FigureRow(NamedTuple):
    words: Words
    value: str


class OwnRow(NamedTuple):
    """A figure of this run beside published ones."""

    score: str
    transform: str
    auc: float


def auc_rows(figures: Figures) -> list[AucRow]:
    """Returns a row for each score that has an AUC: the known ones in order, then others; none without labels."""
    found = [split[0] for figure in figures if (split := _split(figure))]
    names = [name for name in dict.fromkeys([*SCORES, *found]) if name in found]
    return [
        AucRow(
            SCORES.get(name, Words(_plain(name), "")),
            [figures.get(f"{name}_{transform}") for transform in TRANSFORMS],
        )
        for name in names
    ]


def figure_rows(figures: Figures) -> list[FigureRow]:
    """Returns a row for each figure that is no frame AUC; those without words here come last, under their names."""
    order = [*OTHERS, *figures]
    names = sorted((name for name in figures if not _split(name)), key=order.index)
    return [FigureRow(OTHERS.get(name, Words(_plain(name), "")), in_digits(name, figures[name])) for name in names]


def published_rows(dataset: str, figures: Figures) -> tuple[list[OwnRow], list[Published]]:
    """Returns the run's figures and those of the literature; nothing where either is missing."""
    papers = published(dataset)
    own = [OwnRow(score, transform, figures[figure]) for figure, score, transform in OWN if figure in figures]
    return (own, papers) if own and papers else ([], [])


def heading(figure: str) -> tuple[str, str]:
    """Returns the two lines of a figure's heading in a table: the score and the transform, or the name alone."""
    split = _split(figure)
    if not split:
        return "", OTHERS[figure].name if figure in OTHERS else _plain(figure)
    score, transform = split
    return SCORES[score].name if score in SCORES else _plain(score), TRANSFORMS[transform].name


def in_digits(figure: str, value: float) -> str:
    """Writes a value with the digits that suit its figure: counts whole, dB in hundredths, rates to four places."""
    digits = 0 if figure in COUNTS else 2 if figure.endswith(("psnr", "_db")) else 4
    return f"{value:,.{digits}f}"


def _split(figure: str) -> tuple[str, str] | None:
    """Splits `<score>_<transform>`; None for other figures."""
    for transform in TRANSFORMS:
        if figure.endswith(f"_{transform}"):
            return figure.removesuffix(f"_{transform}"), transform
    return None


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()
