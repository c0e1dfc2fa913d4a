"""Preparation: a dataset as it was downloaded or recorded becomes arrays that training and evaluation memory-map."""

from __future__ import annotations

import logging
import math
from collections import Counter
from pathlib import Path

from stmae.config import Config
from stmae.datasets.budget import cut
from stmae.datasets.clips import ClipWriter
from stmae.datasets.manifest import Clip, DatasetError, Manifest, Split
from stmae.datasets.readers import read_footage
from stmae.datasets.splits import calibration_names, check_calibration

MAX_RELATIVE_DIFFERENCE = 0.1
"""Frame rates and aspect ratios of one camera's clips that differ by more are warned of."""

log = logging.getLogger(__name__)


def prepare(config: Config, data_root: Path, out: Path) -> Manifest:
    """Reads `data_root` in the layout of `config.data.reader` and writes the prepared dataset to `out`.

    Of normal footage beyond data.train_frames and data.calibration_frames a part is kept (stmae.datasets.budget).
    Frames are resized to config.model.frame_size. Each clip is written atomically; clips that exist with the same
    source and truth bytes are kept. Raises DatasetError that names the file and the mend: a missing folder, an empty,
    unreadable or too short clip, frames of mixed sizes, truth that does not match the frames, a scene without normal
    footage. Raises ConfigError for an unknown reader and mistakes in `[walkway]`. Logs a warning where the clips of
    one camera differ in frame rate or shape.
    """
    data_root, out = Path(data_root), Path(out)
    if out.is_file():
        raise DatasetError(f"{out}: is a file; the prepared dataset needs a folder of its own")
    root, footage = read_footage(config, data_root)
    train = [item for item in footage if item.split == "train"]
    cuts = cut(train, config.data)
    calibration = calibration_names(train, config.data.calibration_fraction)
    clips_of_scene = Counter(item.scene for item in train)
    writer = ClipWriter(out, root, config.model.frame_size, config.data.fps)
    clips: list[Clip] = []
    for item in footage:
        if item.split == "train" and item.name in cuts:
            clips += writer.write_stretches(item, cuts[item.name])
        elif item.split == "train" and clips_of_scene[item.scene] == 1:
            clips += writer.write_divided(item, config.data.calibration_fraction)
        else:
            split: Split = "calibration" if item.split == "train" and item.name in calibration else item.split
            clips.append(writer.write(item, split))
    manifest = Manifest.of(out, config.name, config.model.frame_size, config.data.fps, tuple(clips))
    check_calibration(manifest)
    _warn_of_mixtures(manifest)
    manifest.save()
    _remove_stale(manifest)
    return manifest


def _warn_of_mixtures(manifest: Manifest) -> None:
    """Warns of scenes whose clips differ in shape.

    Speeds are in pixels of frames resized to a square, so such clips are not comparable.
    """
    for scene in manifest.scenes:
        first, *others = (clip for clip in manifest.clips if clip.scene == scene)
        for other in others:
            difference = _difference(first, other)
            if difference is not None:
                log.warning(
                    "%s and %s: %s: speeds and shapes of one look anomalous beside the other; convert them alike",
                    first.source,
                    other.source,
                    difference,
                )
                break


def _difference(first: Clip, other: Clip) -> str | None:
    """Says in what two clips of one scene differ; None where they are comparable."""
    if not math.isclose(first.width * other.height, other.width * first.height, rel_tol=MAX_RELATIVE_DIFFERENCE):
        return f"{first.width} x {first.height} and {other.width} x {other.height} pixels"
    return None


def _remove_stale(manifest: Manifest) -> None:
    """Deletes what earlier preparations wrote and the manifest no longer lists."""
    listed = {(clip.split, clip.name) for clip in manifest.clips}
    for kind, suffix in (("frames", ".npy"), ("labels", ".npy"), ("masks", ".npy"), ("clips", ".json")):
        for file in (manifest.root / kind).glob(f"*/*{suffix}"):
            if (file.parent.name, file.name.removesuffix(suffix)) not in listed:
                file.unlink()
