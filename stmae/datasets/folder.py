"""One's own cameras: videos or image folders that globs select, with optional labels and masks beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from stmae.config import Config, DataConfig
from stmae.datasets.footage import Footage, is_video, scene_of
from stmae.datasets.labels import truth_of_arrays
from stmae.datasets.manifest import DatasetError
from stmae.video.images import image_files, natural_key

log = logging.getLogger(__name__)


def read(data_root: Path, config: Config) -> tuple[Path, list[Footage]]:
    """Finds the clips that `data.train_glob` and `data.test_glob` match.

    Test clips may have `labels/<clip>.npy` and `masks/<clip>.npz`; without them they are left out of all figures.
    Raises DatasetError, and logs warnings about test clips without truth and truth without a test clip.
    """
    return read_globs(data_root, config.data)


def read_globs(data_root: Path, data: DataConfig) -> tuple[Path, list[Footage]]:
    """Does what `read` does, with the globs, scenes and frame rate of `data`."""
    if not data_root.is_dir():
        raise DatasetError(f"DATA_ROOT={data_root}: no such folder; pass the folder that holds your footage")
    train = _matches(data_root, "data.train_glob", data.train_glob)
    test = _matches(data_root, "data.test_glob", data.test_glob)
    if not train:
        raise DatasetError(
            f"{data_root}: data.train_glob = {data.train_glob!r} matches no video and no frame folder; "
            "set it to where your normal footage is, e.g. --set data.train_glob='normal/*.mp4'"
        )
    if not test:
        log.warning("%s: data.test_glob = %r matches nothing; there is no test clip", data_root, data.test_glob)
    for path in train:
        if path in test:
            raise DatasetError(f"{path}: matched by data.train_glob and data.test_glob; footage is in one split only")
    mend = "rename it, or leave data.scenes = false"
    scenes = {path: scene_of(path, mend) if data.scenes else "" for path in train + test}
    footage = [Footage(name, "train", path, data.fps, None, scenes[path]) for name, path in _named(data_root, train)]
    for name, path in _named(data_root, test):
        truth = truth_of_arrays(data_root / "labels" / f"{name}.npy", data_root / "masks" / f"{name}.npz")
        footage.append(Footage(name, "test", path, data.fps, truth, scenes[path]))
    _warn_of_unlabelled([item for item in footage if item.split == "test"])
    _warn_of_unused_truth(data_root, footage)
    return data_root, footage


def _matches(root: Path, key: str, globs: str) -> list[Path]:
    """Returns the videos and image folders that any of the comma-separated globs matches, in natural order."""
    try:
        found = {path for glob in globs.split(",") if glob.strip() for path in root.glob(glob.strip())}
    except (NotImplementedError, ValueError) as error:
        raise DatasetError(f"{key} = {globs!r}: {error}; globs are relative to DATA_ROOT={root}") from None
    usable = [path for path in found if is_video(path) or (path.is_dir() and not path.name.startswith("."))]
    for path in usable:
        if path.is_dir() and not image_files(path) and any(map(is_video, path.iterdir())):
            raise DatasetError(
                f"{path}: matched by {key} = {globs!r}, and holds videos instead of images; "
                f"match the videos, e.g. {key}='{path.relative_to(root).parent}/*/*'"
            )
    return sorted(usable, key=lambda path: (natural_key(path.parent), natural_key(path)))


def _named(root: Path, paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yields each path with its clip name: the stem; where two clips have the same stem, the path below the root."""
    stems = [path.name if path.is_dir() else path.stem for path in paths]
    for stem, path in zip(stems, paths, strict=True):
        relative = path.relative_to(root)
        longer = "__".join((*relative.parent.parts, path.name))
        yield (stem if stems.count(stem) == 1 else longer), path


def _warn_of_unlabelled(test: list[Footage]) -> None:
    """Names the test clips without truth where others have it."""
    unlabelled = [item.name for item in test if item.truth is None]
    if unlabelled and len(unlabelled) < len(test):
        log.warning("no labels and no masks for %s: scored, and left out of all figures", ", ".join(unlabelled))


def _warn_of_unused_truth(data_root: Path, footage: list[Footage]) -> None:
    """Names the truth that belongs to no test clip; the most likely cause is a file name that differs."""
    used = {file for item in footage if item.truth for file in item.truth.files}
    for unused in sorted({*data_root.glob("labels/[!.]*"), *data_root.glob("masks/[!.]*")} - used):
        log.warning("%s: not used: no test clip has that name, or not the suffix .npy (labels), .npz (masks)", unused)
