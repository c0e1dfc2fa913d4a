"""Footage: the clips of a dataset before they are prepared, and what its readers share to find them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from stmae.config import NAME
from stmae.datasets.labels import Truth
from stmae.datasets.manifest import DatasetError
from stmae.video.images import natural_key
from stmae.video.reader import VIDEO_SUFFIXES


@dataclasses.dataclass(frozen=True, slots=True)
class Footage:
    """A video or image folder of a dataset."""

    name: str
    split: Literal["train", "test"]
    path: Path
    folder_fps: float
    """Frame rate where `path` is a folder; a video states its own."""
    truth: Truth | None = None
    """None where the clip has neither labels nor masks."""
    scene: str = ""
    """The camera that filmed it; empty where the dataset has one scene."""


def locate(reader: str, data_root: Path, folders: Iterable[str], markers: tuple[str, ...]) -> Path:
    """Returns the dataset's own folder, the first of `folders` below `data_root` that holds one of the `markers`.

    Raises DatasetError where there is none.
    """
    for folder in folders:
        if any((data_root / folder / marker).is_dir() for marker in markers):
            return data_root / folder
    problem = "no such folder" if not data_root.is_dir() else f"no {' or '.join(markers)} in it or in {reader}/ below"
    raise DatasetError(
        f"DATA_ROOT={data_root}: {problem} (data.reader = {reader!r}); pass the folder that holds the dataset"
    )


def image_folders(folder: Path, pattern: str = r"[^.].*") -> list[Path]:
    """Returns the folders in `folder` whose name matches, in natural order. Raises DatasetError for none."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: missing; the dataset is incomplete, restore it")
    clips = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch(pattern, path.name)]
    if not clips:
        raise DatasetError(f"{folder}: holds no frame folders; the dataset is incomplete, restore it")
    return sorted(clips, key=natural_key)


def videos(folder: Path) -> list[Path]:
    """Returns the videos in `folder` in natural order. Raises DatasetError for none."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: missing; the dataset is incomplete, restore it")
    found = [path for path in folder.iterdir() if is_video(path)]
    if not found:
        raise DatasetError(f"{folder}: holds no videos; the dataset is incomplete, restore it")
    return sorted(found, key=natural_key)


def is_video(path: Path) -> bool:
    """Says whether a path is a file with a video's extension that is not hidden."""
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def scene_of(path: Path, mend: str) -> str:
    """Returns the scene in a clip's name, SCENE_CLIP. Raises DatasetError, which ends in `mend`, where it has none."""
    scene, underscore, clip = path.stem.partition("_")
    if not (scene and underscore and clip):
        raise DatasetError(f"{path}: its name has no scene; clips of several scenes are named SCENE_CLIP; {mend}")
    if not re.fullmatch(NAME, scene):
        raise DatasetError(
            f"{path}: scene {scene!r}: must be lower-case letters, digits and dashes, as deployments' names are; {mend}"
        )
    return scene


def clip_number(path: Path) -> int:
    """Returns the number in a clip's name. Raises DatasetError where it has none."""
    digits = re.search(r"\d+", path.stem)
    if digits is None:
        raise DatasetError(f"{path}: no clip number in its name; restore the official name")
    return int(digits.group())


def require_truth(path: Path, clip: Path) -> Path:
    """Returns `path`. Raises DatasetError where this file with the ground truth of `clip` does not exist."""
    if not path.exists():
        raise DatasetError(f"{path}: missing, the ground truth of {clip.name}; restore it from the dataset's archive")
    return path
