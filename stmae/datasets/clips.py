"""Clips: one video or image folder becomes arrays of a prepared dataset, or is found there already."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stmae.datasets.arrays import write_npy
from stmae.datasets.budget import MIN_FRAMES, Cut, Kept
from stmae.datasets.footage import Footage
from stmae.datasets.labels import Mask, Truth, check_count, check_size, shrink
from stmae.datasets.manifest import FORMAT, Clip, DatasetError, Manifest, Split
from stmae.datasets.splits import calibration_frames
from stmae.storage.atomic import write_atomically
from stmae.video.health import DecodeHealth
from stmae.video.images import image_files
from stmae.video.reader import FrameSource
from stmae.video.sampling import is_slower

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Sampled:
    """Which frames of footage became a clip."""

    frames: int
    """Frames that could be decoded."""
    indices: npt.NDArray[np.int64]
    """Their numbers, from 0, of those that are in the clip."""


class ClipWriter:
    """Writes the clips of one dataset below `out`, one clip at a time.

    `root` is the dataset's own folder, `size` the height and width of the prepared frames, `fps` the rate at which
    footage is sampled. Every method raises DatasetError for footage or truth that cannot be used.
    """

    def __init__(self, out: Path, root: Path, size: int, fps: float) -> None:
        self.root, self.size, self.fps = root, size, fps
        self.arrays = Manifest.of(out, "", size, fps, ())

    def write(self, item: Footage, split: Split) -> Clip:
        """Prepares footage as one clip, unless that was done before."""
        draft = self._draft(item, split, item.name)
        done = self._done(draft)
        if done is not None:
            return done
        clip, sampled = self._decode(draft, item, self.arrays.path("frames", split, item.name))
        if item.truth is not None and split == "test":
            clip = self._write_truth(clip, item.truth, sampled)
        return self._finish(clip)

    def write_divided(self, item: Footage, fraction: float) -> list[Clip]:
        """Prepares a scene's single training clip as two: its last `fraction` is the calibration clip."""
        drafts = [self._draft(item, "train", item.name), self._draft(item, "calibration", f"{item.name}-end")]
        done = [clip for clip in map(self._done, drafts) if clip is not None]
        total = sum(clip.frames for clip in done)
        if len(done) == 2 and done[1].frames == calibration_frames(total, fraction):
            return done
        whole = self.arrays.root / "frames" / f".{item.name}.whole.npy"
        try:
            clip, _ = self._decode(drafts[0], item, whole)
            cut = clip.frames - calibration_frames(clip.frames, fraction)
            if cut < MIN_FRAMES:
                raise DatasetError(
                    f"{item.path}: {clip.frames} frames are too few for the only training video, "
                    "whose end is the calibration split; add footage"
                )
            frames = np.load(whole, mmap_mode="r")
            clips = []
            for draft, part in zip(drafts, (frames[:cut], frames[cut:]), strict=True):
                write_npy(self.arrays.path("frames", draft.split, draft.name), part)
                part_clip = dataclasses.replace(clip, name=draft.name, split=draft.split, frames=len(part))
                clips.append(self._finish(part_clip))
            return clips
        finally:
            whole.unlink(missing_ok=True)

    def write_stretches(self, item: Footage, cut: Cut) -> list[Clip]:
        """Prepares the stretches that are kept of footage as a clip each, unless that was done before."""
        if not cut.kept:
            return []
        whole = self._draft(item, "train", item.name)
        drafts = [self._stretch(whole, kept, cut.samples[kept.first]) for kept in cut.kept]
        done = [clip for clip in map(self._done, drafts) if clip is not None]
        return done if len(done) == len(drafts) else self._decode_stretches(drafts, item, cut)

    def _stretch(self, whole: Clip, kept: Kept, begins_s: float) -> Clip:
        """Returns what is known of a stretch before it is decoded."""
        name = f"{whole.name}-at-{begins_s:.2f}s"
        digest = hashlib.sha256(f"{whole.sha256} {kept.first} {kept.after} {self.fps}".encode()).hexdigest()
        return dataclasses.replace(whole, name=name, split=kept.split, sha256=digest)

    def _decode_stretches(self, drafts: list[Clip], item: Footage, cut: Cut) -> list[Clip]:
        stretches = cut.survey.stretches(cut.bounds)
        source = FrameSource(item.path, self.size, fps=self.fps, folder_fps=item.folder_fps, stretches=stretches)
        paths = [self.arrays.path("frames", draft.split, draft.name) for draft in drafts]
        counts = dict.fromkeys(range(len(drafts)), 0)
        for number, frames in itertools.groupby(source, lambda frame: stretches.number(frame.time_s)):
            assert number is not None
            counts[number] = write_npy(paths[number], (frame.image for frame in frames))
        try:
            _check_health(item, source.health)
        except DatasetError:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        self._warn_if_slower(item, source.health)
        height, width = source.shape or (0, 0)
        return [
            self._finish(dataclasses.replace(draft, frames=counts[number], height=height, width=width))
            for number, draft in enumerate(drafts)
            if counts[number] >= MIN_FRAMES
        ]

    def _draft(self, item: Footage, split: Split, name: str) -> Clip:
        """Returns what is known of a clip before it is decoded."""
        source = item.path.relative_to(self.root).as_posix()
        with_truth = split == "test" and item.truth is not None
        try:
            digest = sha256([item.path])
            truth = sha256(item.truth.files) if with_truth and item.truth else ""
        except OSError as error:
            raise DatasetError(f"{error.filename}: cannot be read: {error.strerror}; restore or remove it") from None
        return Clip(name, split, source, 0, 0, 0, digest, truth, labelled=False, masked=False, scene=item.scene)

    def _decode(self, draft: Clip, item: Footage, path: Path) -> tuple[Clip, Sampled]:
        """Streams the resized samples to `path`; returns the clip with its frame count, rate and shape, and which
        frames of the footage they are."""
        source = FrameSource(item.path, self.size, fps=self.fps, folder_fps=item.folder_fps)
        indices: list[int] = []

        def images() -> Iterator[npt.NDArray[np.uint8]]:
            for frame in source:
                indices.append(frame.index)
                yield frame.image
            _check_health(item, source.health)  # within the stream: bad footage leaves no array behind
            _check_length(item, len(indices))

        frames, health = write_npy(path, images()), source.health
        height, width = source.shape or (0, 0)
        self._warn_if_slower(item, health)
        clip = dataclasses.replace(draft, frames=frames, height=height, width=width)
        return clip, Sampled(health.frames_decoded, np.array(indices))

    def _warn_if_slower(self, item: Footage, health: DecodeHealth) -> None:
        if is_slower(health.fps, self.fps):
            log.warning(
                "%s: has %g frames/s, fewer than data.fps = %g; set data.fps to the least of your footage, "
                "so that a pixel a frame means the same everywhere",
                item.path,
                health.fps,
                self.fps,
            )

    def _write_truth(self, clip: Clip, truth: Truth, sampled: Sampled) -> Clip:
        """Writes labels and masks; both have one entry a sample, of those that they have for each frame."""
        labels = None if truth.labels is None else truth.labels(sampled.frames)[sampled.indices]
        if truth.masks is not None:
            wanted, abnormal = set(sampled.indices.tolist()), list[bool]()

            def masks() -> Iterator[Mask]:
                count = 0
                for count, mask in enumerate(truth.masks() if truth.masks else (), 1):
                    check_size(truth.files[-1], mask, clip.height, clip.width)
                    if count - 1 in wanted:
                        abnormal.append(bool(mask.any()))
                        yield shrink(mask, self.size)
                check_count(truth.files[-1], count, sampled.frames, "masks")

            write_npy(self.arrays.path("masks", clip.split, clip.name), masks())
            labels = np.array(abnormal, np.uint8) if labels is None else labels
        if labels is not None:
            write_npy(self.arrays.path("labels", clip.split, clip.name), labels)
        return dataclasses.replace(clip, labelled=labels is not None, masked=truth.masks is not None)

    def _record(self, clip: Clip) -> Path:
        return self.arrays.root / "clips" / clip.split / f"{clip.name}.json"

    def _finish(self, clip: Clip) -> Clip:
        """Writes the clip's record, the last of its files: a clip with a record is done."""
        record = {"format": FORMAT, "size": self.size, "sampled_at": self.fps, **dataclasses.asdict(clip)}
        write_atomically(self._record(clip), json.dumps(record, indent=1).encode())
        log.info("prepared %s clip %s: %d frames", clip.split, clip.name, clip.frames)
        return clip

    def _done(self, draft: Clip) -> Clip | None:
        """Returns the clip of an earlier preparation; None where it is incomplete or anything it depends on differs."""
        try:
            record = json.loads(self._record(draft).read_text(encoding="utf-8"))
            same = record.pop("format") == FORMAT and record.pop("size") == self.size
            same = record.pop("sampled_at") == self.fps and same
            clip = Clip(**record)
            frames = self.arrays.frames(clip)
            self.arrays.labels(clip), self.arrays.masks(clip)  # arrays that were deleted are written again
        except (OSError, ValueError, TypeError, KeyError):
            return None
        wanted = (draft.source, draft.scene, draft.sha256, draft.truth_sha256)
        same = same and wanted == (clip.source, clip.scene, clip.sha256, clip.truth_sha256)
        return clip if same and len(frames) == clip.frames else None


def sha256(paths: Iterable[Path]) -> str:
    """Returns a digest of the bytes of files, and of the names and bytes of the images in folders, in order."""
    digest = hashlib.sha256()
    for path in paths:
        for file in image_files(path) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(os.fsencode(file.name) + f"\0{file.stat().st_size}\0".encode())
            with file.open("rb") as handle:
                while block := handle.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _check_health(item: Footage, health: DecodeHealth) -> None:
    """Raises DatasetError for footage that cannot be used. Of a damaged video what is left is used, with a warning."""
    if health.status == "truncated" and item.path.is_file():
        log.warning("%s: %s; the rest is used", item.path, health.reason)
    elif health.status != "scored":
        split = "training" if item.split == "train" else "test"
        raise DatasetError(
            f"{item.path}: {health.status}: {health.reason}; repair it or remove it from the {split} data"
        )


def _check_length(item: Footage, samples: int) -> None:
    """Raises DatasetError for footage that is too short to be a clip."""
    if samples < MIN_FRAMES:
        raise DatasetError(f"{item.path}: {samples} frames; a clip needs at least {MIN_FRAMES}, remove it")
