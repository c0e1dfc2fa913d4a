"""Pictures of the evaluation page: the most wrong frames, and where the model looks beside where it should."""

from __future__ import annotations

import html
from collections.abc import Iterator

import cv2
import numpy as np

from stmae.datasets.manifest import Manifest
from stmae.report.page import Image, heat_overlay, jpeg_uri
from stmae.report.clips import ShownClip, most_wrong
from stmae.scoring.localization import peak_box
from stmae.scoring.raw import CLIP_FRAMES

FRAMES_SHOWN = 6
"""Frames a gallery shows."""
PICTURE_WIDTH = 300
TRUTH, BOX = (61, 220, 132), (255, 212, 0)
"""RGB of the labelled outline and of the model's box."""


def galleries(clips: list[ShownClip], manifest: Manifest) -> Iterator[str]:
    """Sections with the frames of the highest scores and, where there are labels, of the worst errors."""
    shown = [
        ("Highest scores", "The frames that the model finds oddest.", None, True),
        ("Normal frames with the highest scores", "What would be false alarms first.", 0, True),
        ("Abnormal frames with the lowest scores", "What would be missed first.", 1, False),
    ]
    if not any(clip.labels is not None for clip in clips):
        shown = shown[:1]
    vmax = brightest(clips)
    for title, text, label, highest in shown:
        chosen = most_wrong(clips, label, highest=highest, most=FRAMES_SHOWN)
        pictures = "".join(_pair(clip, manifest, position, vmax) for clip, position in chosen)
        scale = f"Right of each frame its tile map; the brightest colour is {vmax:.0f} nats."
        body = f'<div class="gallery">{pictures}</div>' if chosen else "<p>There are none.</p>"
        yield f'<section><h2>{title}</h2><p class="soft">{text} {scale}</p>{body}</section>'


def localisation(clips: list[ShownClip], manifest: Manifest) -> str:
    """For clips with masks, the frame of the highest score: the truth, the tile map and the box around its peak."""
    masked = [clip for clip in clips if clip.clip.masked and clip.labels is not None and clip.labels.any()]
    if not masked:
        return ""
    spread = np.linspace(0, len(masked) - 1, min(FRAMES_SHOWN, len(masked))).round().astype(int)
    vmax = brightest(clips)
    pictures = "".join(_triple(masked[number], manifest, vmax) for number in spread)
    return (
        '<section><h2>Where the model looks</h2><p class="soft">The frame of the highest score of '
        f"{'each clip' if len(masked) <= FRAMES_SHOWN else f'{FRAMES_SHOWN} clips, spread over the test set,'} "
        "with labelled pixels. In the middle "
        f"{_key(TRUTH)}what is labelled abnormal{_key(BOX)}the box that an event would have; right the tile map, up to "
        f"{vmax:.0f} nats.</p>{pictures}</section>"
    )


def brightest(clips: list[ShownClip]) -> float:
    """Surprise of the brightest colour: few tiles are above it."""
    return float(np.quantile(np.concatenate([clip.tile_map.reshape(-1) for clip in clips]), 0.999)) if clips else 1.0


def _pair(shown: ShownClip, manifest: Manifest, position: int, vmax: float) -> str:
    image = _image(shown, manifest, position)
    images = [("", image), ("tile map of ", heat_overlay(image, shown.tile_map[position], vmax))]
    return _figure("pair", shown, position, images)


def _triple(shown: ShownClip, manifest: Manifest, vmax: float) -> str:
    position = int(shown.combined.argmax())
    image, tiles = _image(shown, manifest, position), shown.tile_map[position]
    height, width = image.shape[:2]
    marked = image.copy()
    masks = manifest.masks(shown.clip)
    assert masks is not None
    mask = cv2.resize(np.array(masks[position + CLIP_FRAMES]), (width, height), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(marked, outlines, -1, TRUTH, 2)
    left, top, right, bottom = peak_box(tiles)
    corners = (round(left * width), round(top * height)), (round(right * width) - 1, round(bottom * height) - 1)
    cv2.rectangle(marked, *corners, BOX, 2)
    images = [("", image), ("truth and box of ", marked), ("tile map of ", heat_overlay(image, tiles, vmax))]
    return _figure("triple", shown, position, images)


def _figure(kind: str, shown: ShownClip, position: int, images: list[tuple[str, Image]]) -> str:
    frame, name = position + CLIP_FRAMES, html.escape(shown.clip.name)
    pictures = "".join(
        f'<img src="{jpeg_uri(image)}" alt="{what}clip {name}, frame {frame}">' for what, image in images
    )
    label = "" if shown.labels is None else f", labelled {'abnormal' if shown.labels[position] else 'normal'}"
    return (
        f'<figure><div class="{kind}">{pictures}</div>'
        f'<figcaption>clip <a href="#clip-{name}">{name}</a>, frame {frame} ({frame / shown.fps:.1f} s): '
        f"score {shown.combined[position]:.1f}, {shown.psnr[position]:.1f} dB{label}</figcaption></figure>"
    )


def _image(shown: ShownClip, manifest: Manifest, position: int) -> Image:
    """A frame in the clip's own aspect: the preparation squeezed it to a square."""
    clip = shown.clip
    image = np.asarray(manifest.frames(clip)[position + CLIP_FRAMES])
    size = (PICTURE_WIDTH, max(round(PICTURE_WIDTH * clip.height / clip.width), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _key(colour: tuple[int, int, int]) -> str:
    return f'<span class="key" style="background:rgb{colour}"></span>'
