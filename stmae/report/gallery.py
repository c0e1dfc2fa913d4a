"""Galleries of the evaluation page: the most wrong frames, and where the model looks beside where it should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from stmae.datasets.manifest import Manifest
from stmae.report.clips import ClipScores, extreme_frames
from stmae.report.pictures import Image, Picture, heat_overlay, jpeg
from stmae.scoring.localization import peak_box
from stmae.scoring.raw import CLIP_FRAMES

FRAMES_SHOWN = 6
"""Frames that a gallery shows."""
PICTURE_WIDTH = 300
TRUTH, BOX = (61, 220, 132), (255, 212, 0)
"""RGB of the labelled outline and of the model's box."""


class Shot(NamedTuple):
    """A frame in a gallery: its pictures side by side, and the facts below them."""

    clip: str
    frame: int
    seconds: float
    rarity: str
    psnr: float
    label: str | None
    pictures: list[Picture]


class Gallery(NamedTuple):
    title: str
    about: str
    shots: list[Shot]


def galleries(clips: Sequence[ClipScores], manifest: Manifest) -> list[Gallery]:
    """Returns the frames of the highest scores and, where there are labels, those of the worst errors."""
    wanted = [
        ("Highest scores", "The frames that the model rates most anomalous.", None, True),
        ("Normal frames with the highest scores", "They would be the first false alarms.", 0, True),
        ("Abnormal frames with the lowest scores", "They would be the first misses.", 1, False),
    ]
    if all(clip.labels is None for clip in clips):
        wanted = wanted[:1]
    top = brightest(clips)
    return [
        Gallery(
            title,
            about,
            [
                _shot(clip, manifest, position, top, marked=False)
                for clip, position in extreme_frames(clips, label, highest=highest, most=FRAMES_SHOWN)
            ],
        )
        for title, about, label, highest in wanted
    ]


def localisation(clips: Sequence[ClipScores], manifest: Manifest) -> list[Shot]:
    """Returns the frame with the highest score of each clip with masks: the frame, its truth and box, its heat map.

    Of more than FRAMES_SHOWN such clips, so many are taken, evenly spread.
    """
    masked = [clip for clip in clips if clip.clip.masked and clip.labels is not None and clip.labels.any()]
    if not masked:
        return []
    spread = np.linspace(0, len(masked) - 1, min(FRAMES_SHOWN, len(masked))).round().astype(int)
    top = brightest(clips)
    return [_shot(masked[n], manifest, int(masked[n].combined.argmax()), top, marked=True) for n in spread]


def brightest(clips: Sequence[ClipScores]) -> float:
    """Returns the -log10 p of the brightest colour; one tile in a thousand is above it."""
    return float(np.quantile(np.concatenate([clip.heatmap.reshape(-1) for clip in clips]), 0.999)) if clips else 1.0


def _shot(scores: ClipScores, manifest: Manifest, position: int, top: float, *, marked: bool) -> Shot:
    clip, frame = scores.clip, position + CLIP_FRAMES
    image, heatmap = _image(scores, manifest, frame), scores.heatmap[position]
    where = f"clip {clip.name}, frame {frame}"
    pictures = [jpeg(image, where)]
    if marked:
        pictures.append(jpeg(_marked(image, scores, manifest, position), f"truth and box of {where}"))
    pictures.append(jpeg(heat_overlay(image, heatmap, top), f"heat map of {where}"))
    label = None if scores.labels is None else ("normal", "abnormal")[int(scores.labels[position])]
    return Shot(
        clip=clip.name,
        frame=frame,
        seconds=frame / scores.fps,
        rarity=scores.rarity(position),
        psnr=float(scores.psnr[position]),
        label=label,
        pictures=pictures,
    )


def _marked(image: Image, scores: ClipScores, manifest: Manifest, position: int) -> Image:
    """Draws the outline of the truth and the box of the heat map's peak into a copy of the frame."""
    height, width = image.shape[:2]
    marked = image.copy()
    masks = manifest.masks(scores.clip)
    assert masks is not None
    mask = cv2.resize(np.array(masks[position + CLIP_FRAMES]), (width, height), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(marked, outlines, -1, TRUTH, 2)
    left, top, right, bottom = peak_box(scores.heatmap[position])
    corners = (round(left * width), round(top * height)), (round(right * width) - 1, round(bottom * height) - 1)
    cv2.rectangle(marked, *corners, BOX, 2)
    return marked


def _image(scores: ClipScores, manifest: Manifest, frame: int) -> Image:
    """Returns a frame in the aspect of its source: the preparation squeezed it to a square."""
    clip = scores.clip
    image = np.asarray(manifest.frames(clip)[frame])
    size = (PICTURE_WIDTH, max(round(PICTURE_WIDTH * clip.height / clip.width), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
