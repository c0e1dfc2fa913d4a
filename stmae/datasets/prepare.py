"""Preparation: from a dataset as it was downloaded to arrays that training and evaluation map into memory."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stmae.config import Config
from stmae.datasets import readers
from stmae.datasets.arrays import sha256, write_atomically, write_npy
from stmae.datasets.labels import Mask, Truth, check_count, check_size, shrink
from stmae.datasets.manifest import FORMAT, Clip, DatasetError, Manifest, Split
from stmae.datasets.readers import Footage
from stmae.datasets.synthetic.film import film
from stmae.scoring.raw import CLIP_FRAMES
from stmae.video.reader import DecodeHealth, FrameSource, resize

__all__ = ["MIN_FRAMES", "Clip", "DatasetError", "Manifest", "prepare"]

MIN_FRAMES = CLIP_FRAMES + 1
"""Four frames to look at and one to predict."""
MIN_CALIBRATED = 2
"""Frames with a score that a scene's held-out clips have, at least: a calibration of fewer has no spread."""
ALIKE = 0.1
"""By which frame rates, and widths over heights, of one camera may differ without a warning."""

log = logging.getLogger(__name__)


def prepare(config: Config, data_root: Path, out: Path) -> Manifest:
    """Read `data_root` in the layout of `config.data.reader` and write the prepared dataset at `out`.

    Frames are resized to config.model.frame_size. Each clip is written atomically; clips that are there with the same
    source and truth bytes are left alone. Raises DatasetError naming the file and the mend: a missing folder, an
    empty, unreadable or too short clip, frames of mixed sizes, truth that does not match the frames, a scene without
    normal footage. Logs a warning where one camera's clips differ in frame rate or shape.
    """
    data_root, out = Path(data_root), Path(out)
    if out.is_file():
        raise DatasetError(f"{out}: is a file; the prepared dataset needs a folder of its own")
    root, footage = read_footage(config, data_root)
    train = [item for item in footage if item.split == "train"]
    heldout = _heldout(train, config.data.calibration_fraction)
    clips_of = Counter(item.scene for item in train)
    preparation = _Preparation(out, root, config.model.frame_size)
    clips: list[Clip] = []
    for item in footage:
        if item.split == "train" and clips_of[item.scene] == 1:
            clips += preparation.parts(item, config.data.calibration_fraction)
        else:
            split: Split = "calibration" if item.split == "train" and item.name in heldout else item.split
            clips.append(preparation.clip(item, split))
    manifest = Manifest.of(out, config.name, config.model.frame_size, tuple(clips))
    _check_heldout(manifest)
    _warn_of_mixtures(manifest)
    manifest.save()
    _remove_stale(manifest)
    return manifest


def read_footage(config: Config, data_root: Path) -> tuple[Path, list[Footage]]:
    """The dataset's own folder and its clips in the layout of `config.data.reader`. Raises DatasetError."""
    if data_root.is_file():
        raise DatasetError(f"DATA_ROOT={data_root}: is a file; pass the folder that holds the footage")
    root, footage = _read(config, data_root)
    seen: dict[tuple[str, str], Path] = {}
    for item in footage:
        if "\ufffd" in os.fsencode(item.path).decode(errors="replace"):
            raise DatasetError(f"{item.path}: its name is not UTF-8; rename it")
        other = seen.setdefault((item.split, item.name), item.path)
        if other != item.path:
            raise DatasetError(f"{item.path}: same clip name as {other}; rename one of them")
    learnt = {item.scene for item in footage if item.split == "train"}
    for item in footage:
        if item.scene not in learnt:
            raise DatasetError(
                f"{item.path}: scene {item.scene!r} has no training clip (there are {', '.join(sorted(learnt))}); "
                "add normal footage of it, or rename the clip"
            )
    return root, footage


def _read(config: Config, data_root: Path) -> tuple[Path, list[Footage]]:
    match config.data.reader:
        case "ped2":
            return readers.read_ped2(data_root)
        case "avenue":
            return readers.read_avenue(data_root)
        case "shanghaitech":
            return readers.read_shanghaitech(data_root)
        case "walkway":
            film(config.walkway, data_root)
            films = dataclasses.replace(
                config.data,
                train_glob="training/*.mp4",
                test_glob="testing/*.mp4",
                scenes=config.walkway.scenes > 1,
            )
            return readers.read_folder(data_root, films)
        case "folder":
            return readers.read_folder(data_root, config.data)


def _heldout(train: list[Footage], fraction: float) -> frozenset[str]:
    """Names of at least `fraction` of each scene's training clips, spread evenly; none of an only clip."""
    names: set[str] = set()
    for scene in {item.scene for item in train}:
        clips = [item.name for item in train if item.scene == scene]
        count = math.ceil(fraction * len(clips) - 1e-9) if len(clips) > 1 else 0
        names.update(clips[int((i + 0.5) * len(clips) / count)] for i in range(count))
    return frozenset(names)


class _Preparation:
    """Writes the clips of one dataset to one place, one clip in flight."""

    def __init__(self, out: Path, root: Path, size: int) -> None:
        self.root, self.size = root, size
        self.place = Manifest.of(out, "", size, ())

    def clip(self, item: Footage, split: Split) -> Clip:
        """Prepare one video as one clip, unless it is done."""
        draft = self._draft(item, split, item.name)
        done = self._done(draft)
        if done is not None:
            return done
        clip = self._decode(draft, item, self.place.path("frames", split, item.name))
        if item.truth is not None and split == "test":
            clip = self._write_truth(clip, item.truth)
        return self._finish(clip)

    def parts(self, item: Footage, fraction: float) -> list[Clip]:
        """Prepare a scene's only training video as two clips: its last `fraction` is held out."""
        drafts = [self._draft(item, "train", item.name), self._draft(item, "calibration", f"{item.name}-end")]
        done = [clip for clip in map(self._done, drafts) if clip is not None]
        total = sum(clip.frames for clip in done)
        if len(done) == 2 and done[1].frames == _end(total, fraction):
            return done
        whole = self.place.root / "frames" / f".{item.name}.whole.npy"
        try:
            clip = self._decode(drafts[0], item, whole)
            cut = clip.frames - _end(clip.frames, fraction)
            if cut < MIN_FRAMES:
                raise DatasetError(
                    f"{item.path}: {clip.frames} frames are too few for the only training video, "
                    "whose end is held out; add footage"
                )
            frames = np.load(whole, mmap_mode="r")
            clips = []
            for draft, part in zip(drafts, (frames[:cut], frames[cut:]), strict=True):
                write_npy(self.place.path("frames", draft.split, draft.name), part)
                part_clip = dataclasses.replace(clip, name=draft.name, split=draft.split, frames=len(part))
                clips.append(self._finish(part_clip))
            return clips
        finally:
            whole.unlink(missing_ok=True)

    def _draft(self, item: Footage, split: Split, name: str) -> Clip:
        """What is known of a clip before it is decoded."""
        source = item.path.relative_to(self.root).as_posix()
        with_truth = split == "test" and item.truth is not None
        fps = item.folder_fps if item.path.is_dir() else 0.0
        try:
            digest = sha256([item.path])
            truth = sha256(item.truth.files) if with_truth and item.truth else ""
        except OSError as error:
            raise DatasetError(f"{error.filename}: cannot be read: {error.strerror}; restore or remove it") from None
        return Clip(name, split, source, 0, fps, 0, 0, digest, truth, labelled=False, masked=False, scene=item.scene)

    def _decode(self, draft: Clip, item: Footage, path: Path) -> Clip:
        """Stream the resized frames to `path`; returns the clip with what they turned out to be."""
        source = FrameSource(item.path, folder_fps=item.folder_fps)
        shape = (0, 0)

        def images() -> Iterator[npt.NDArray[np.uint8]]:
            nonlocal shape
            for frame in source:
                shape = frame.image.shape[:2]
                yield resize(frame.image, self.size)
            _check_health(item, source.health)  # in here: bad footage leaves no array behind

        frames = write_npy(path, images())
        return dataclasses.replace(draft, frames=frames, fps=source.health.fps, height=shape[0], width=shape[1])

    def _write_truth(self, clip: Clip, truth: Truth) -> Clip:
        """Write labels and masks; both have one entry a frame."""
        labels = None if truth.labels is None else truth.labels(clip.frames)
        if truth.masks is not None:
            abnormal: list[bool] = []

            def masks() -> Iterator[Mask]:
                for mask in truth.masks() if truth.masks else ():
                    check_size(truth.files[-1], mask, clip.height, clip.width)
                    abnormal.append(bool(mask.any()))
                    yield shrink(mask, self.size)
                check_count(truth.files[-1], len(abnormal), clip.frames, "masks")

            write_npy(self.place.path("masks", clip.split, clip.name), masks())
            labels = np.array(abnormal, np.uint8) if labels is None else labels
        if labels is not None:
            write_npy(self.place.path("labels", clip.split, clip.name), labels)
        return dataclasses.replace(clip, labelled=labels is not None, masked=truth.masks is not None)

    def _record(self, clip: Clip) -> Path:
        return self.place.root / "clips" / clip.split / f"{clip.name}.json"

    def _finish(self, clip: Clip) -> Clip:
        """The record is written last: with it the clip is done."""
        record = {"format": FORMAT, "size": self.size, **dataclasses.asdict(clip)}
        write_atomically(self._record(clip), json.dumps(record, indent=1).encode())
        log.info("prepared %s clip %s: %d frames", clip.split, clip.name, clip.frames)
        return clip

    def _done(self, draft: Clip) -> Clip | None:
        """The clip as an earlier preparation left it; None where its source, truth or size differ."""
        try:
            record = json.loads(self._record(draft).read_text(encoding="utf-8"))
            same = record.pop("format") == FORMAT and record.pop("size") == self.size
            clip = Clip(**record)
            frames = self.place.frames(clip)
            self.place.labels(clip), self.place.masks(clip)  # who deleted them wants them back
        except (OSError, ValueError, TypeError, KeyError):
            return None
        wanted = (draft.source, draft.scene, draft.fps or clip.fps, draft.sha256, draft.truth_sha256)
        same = same and wanted == (clip.source, clip.scene, clip.fps, clip.sha256, clip.truth_sha256)
        return clip if same and len(frames) == clip.frames else None


def _end(frames: int, fraction: float) -> int:
    """Frames held out of the only training video."""
    return max(CLIP_FRAMES + MIN_CALIBRATED, math.ceil(fraction * frames))


def _check_heldout(manifest: Manifest) -> None:
    for scene in manifest.scenes:
        heldout = [clip for clip in manifest.split("calibration") if clip.scene == scene]
        scored = sum(clip.frames - CLIP_FRAMES for clip in heldout)
        if scored < MIN_CALIBRATED:
            names = ", ".join(clip.source for clip in heldout)
            few = f"{scored} frames that have a score, not {MIN_CALIBRATED}"
            raise DatasetError(
                f"{names}: held out for calibration, with {few}; add longer clips or raise data.calibration_fraction"
            )


def _warn_of_mixtures(manifest: Manifest) -> None:
    """What moves is judged in pixels a frame, of frames that are resized to a square."""
    for scene in manifest.scenes:
        first, *others = (clip for clip in manifest.clips if clip.scene == scene)
        for other in others:
            if not math.isclose(first.fps, other.fps, rel_tol=ALIKE):
                mixed = f"{first.fps:g} and {other.fps:g} frames a second"
            elif not math.isclose(first.width * other.height, other.width * first.height, rel_tol=ALIKE):
                mixed = f"{first.width} x {first.height} and {other.width} x {other.height} pixels"
            else:
                continue
            log.warning(
                "%s and %s: %s: speeds and shapes of one are unusual for the other; convert them alike",
                first.source,
                other.source,
                mixed,
            )
            break


def _check_health(item: Footage, health: DecodeHealth) -> None:
    """Refuse footage that cannot be used whole; a cut video is used up to the cut, and said so."""
    if health.status == "truncated" and item.path.is_file():
        log.warning("%s: %s; used up to there", item.path, health.reason)
    elif health.status != "scored":
        split = "training" if item.split == "train" else "test"
        raise DatasetError(
            f"{item.path}: {health.status}: {health.reason}; repair it or remove it from the {split} data"
        )
    if health.frames_decoded < MIN_FRAMES:
        raise DatasetError(
            f"{item.path}: {health.frames_decoded} frames; a clip needs at least {MIN_FRAMES}, remove it"
        )


def _remove_stale(manifest: Manifest) -> None:
    """Delete what earlier preparations wrote and the manifest no longer lists."""
    listed = {(clip.split, clip.name) for clip in manifest.clips}
    for kind, suffix in (("frames", ".npy"), ("labels", ".npy"), ("masks", ".npy"), ("clips", ".json")):
        for file in (manifest.root / kind).glob(f"*/*{suffix}"):
            if (file.parent.name, file.name.removesuffix(suffix)) not in listed:
                file.unlink()
