"""Where each dataset keeps its clips and their truth: official layouts, circulated ones, one's own folders."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from stmae.config import NAME, DataConfig
from stmae.datasets import labels
from stmae.datasets.labels import Labels, Mask, Range, Truth
from stmae.datasets.manifest import DatasetError
from stmae.video.reader import VIDEO_SUFFIXES, image_files, natural_key

log = logging.getLogger(__name__)

PED2_FPS, AVENUE_FPS, SHANGHAITECH_FPS = 10.0, 25.0, 24.0


@dataclasses.dataclass(frozen=True, slots=True)
class Footage:
    """A video or frame folder of a dataset, before it is prepared."""

    name: str
    split: Literal["train", "test"]
    path: Path
    folder_fps: float
    """Frame rate where `path` is a folder; a video carries its own."""
    truth: Truth | None = None
    scene: str = ""
    """The camera that filmed it; empty where the dataset has one scene."""


def read_ped2(data_root: Path) -> tuple[Path, list[Footage]]:
    """UCSD Ped2: `Train/Train001/001.tif`, or as circulated `training/frames/01/000.jpg`.

    Labels come from `UCSDped2.m`, else `ped2.mat`, else the masks.
    """
    places = ("", "ped2", "UCSDped2", "UCSD_Anomaly_Dataset.v1p2/UCSDped2")
    root = _locate("ped2", data_root, places, ("Train/Train001", "training/frames"))
    if (root / "Train").is_dir():
        train = _entries(root / "Train", r"Train\d+")
        test = _entries(root / "Test", r"Test\d+")
        mask_folders = {clip.name: clip.parent / f"{clip.name}_gt" for clip in test}
    else:
        train, test = _entries(root / "training/frames"), _entries(root / "testing/frames")
        mask_folders = {clip.name: root / "testing/masks" / clip.name for clip in test}
    ranges = _ped2_ranges(root)
    footage = [Footage(clip.name, "train", clip, PED2_FPS) for clip in train]
    footage += [Footage(clip.name, "test", clip, PED2_FPS, _ped2_truth(clip, ranges, mask_folders)) for clip in test]
    return root, footage


def read_avenue(data_root: Path) -> tuple[Path, list[Footage]]:
    """CUHK Avenue: `training_videos/01.avi`, `testing_videos/01.avi`, `testing_label_mask/1_label.mat`."""
    root = _locate("avenue", data_root, ("", "avenue", "Avenue Dataset", "avenue-sample"), ("training_videos",))
    # The authors' site has the ground truth as a download of its own, unpacked beside the videos.
    places = (
        root / "ground_truth_demo/testing_label_mask",
        root.parent / "ground_truth_demo/testing_label_mask",
    )
    folder = next((place for place in places if place.is_dir()), places[0])
    footage = [Footage(v.stem, "train", v, AVENUE_FPS) for v in _videos(root / "training_videos")]
    for video in _videos(root / "testing_videos"):
        path = _present(folder / f"{_number(video)}_label.mat", video)
        truth = Truth((path,), None, lambda path=path: iter(labels.avenue_mat(path)))  # type: ignore[misc]
        footage.append(Footage(video.stem, "test", video, AVENUE_FPS, truth))
    return root, footage


def read_shanghaitech(data_root: Path) -> tuple[Path, list[Footage]]:
    """ShanghaiTech: `training/videos/01_001.avi` (or frames), `testing/frames/01_0014/000.jpg`; 01 is the scene."""
    markers = ("training/videos", "training/frames")
    root = _locate("shanghaitech", data_root, ("", "shanghaitech", "ShanghaiTech", "SHANGHAI"), markers)
    videos = root / "training/videos"
    train = _videos(videos) if videos.is_dir() else _entries(root / "training/frames")
    mend = "restore the official name"
    footage = [Footage(clip.stem, "train", clip, SHANGHAITECH_FPS, scene=_scene(clip, mend)) for clip in train]
    for clip in _entries(root / "testing/frames"):
        frame_mask = _present(root / "testing/test_frame_mask" / f"{clip.name}.npy", clip)
        pixel_mask = root / "testing/test_pixel_mask" / f"{clip.name}.npy"
        truth = _array_truth(frame_mask, pixel_mask)
        footage.append(Footage(clip.name, "test", clip, SHANGHAITECH_FPS, truth, _scene(clip, mend)))
    return root, footage


def read_folder(data_root: Path, data: DataConfig) -> tuple[Path, list[Footage]]:
    """One's own cameras: videos or frame folders by `data.train_glob` and `data.test_glob`.

    Test clips may have `labels/<clip>.npy` and `masks/<clip>.npz`; without them nothing is evaluated on them.
    """
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
    scenes = {path: _scene(path, mend) if data.scenes else "" for path in train + test}
    footage = [Footage(name, "train", path, data.fps, None, scenes[path]) for name, path in _named(data_root, train)]
    for name, path in _named(data_root, test):
        truth = _array_truth(data_root / "labels" / f"{name}.npy", data_root / "masks" / f"{name}.npz")
        footage.append(Footage(name, "test", path, data.fps, truth, scenes[path]))
    _warn_of_unlabelled([item for item in footage if item.split == "test"])
    _warn_of_strays(data_root, footage)
    return data_root, footage


def _warn_of_strays(data_root: Path, footage: list[Footage]) -> None:
    """Say which truth belongs to no test clip: the most likely cause is a name that differs."""
    used = {file for item in footage if item.truth for file in item.truth.files}
    for stray in sorted({*data_root.glob("labels/[!.]*"), *data_root.glob("masks/[!.]*")} - used):
        log.warning("%s: not used: no test clip has that name, or not the suffix .npy (labels), .npz (masks)", stray)


def _warn_of_unlabelled(test: list[Footage]) -> None:
    """Say which test clips have no truth where others have."""
    bare = [item.name for item in test if item.truth is None]
    if bare and len(bare) < len(test):
        log.warning("no labels and no masks for %s: scored, and left out of all figures", ", ".join(bare))


def _locate(reader: str, data_root: Path, places: Iterable[str], markers: tuple[str, ...]) -> Path:
    """The dataset's own folder: `data_root` itself or a known name below it, told by one of the `markers`."""
    for place in places:
        if any((data_root / place / marker).is_dir() for marker in markers):
            return data_root / place
    problem = "no such folder" if not data_root.is_dir() else f"no {' or '.join(markers)} in it or in {reader}/ below"
    raise DatasetError(
        f"DATA_ROOT={data_root}: {problem} (data.reader = {reader!r}); pass the folder that holds the dataset"
    )


def _entries(folder: Path, pattern: str = r"[^.].*") -> list[Path]:
    """Frame folders in `folder`, naturally sorted."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: missing; the dataset is incomplete, restore it")
    clips = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch(pattern, path.name)]
    if not clips:
        raise DatasetError(f"{folder}: holds no frame folders; the dataset is incomplete, restore it")
    return sorted(clips, key=natural_key)


def _videos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: missing; the dataset is incomplete, restore it")
    videos = [path for path in folder.iterdir() if _is_video(path)]
    if not videos:
        raise DatasetError(f"{folder}: holds no videos; the dataset is incomplete, restore it")
    return sorted(videos, key=natural_key)


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _matches(root: Path, key: str, globs: str) -> list[Path]:
    """Videos and frame folders that any of the comma-separated globs matches, each once, in natural order."""
    try:
        found = {path for glob in globs.split(",") if glob.strip() for path in root.glob(glob.strip())}
    except (NotImplementedError, ValueError) as error:
        raise DatasetError(f"{key} = {globs!r}: {error}; globs are relative to DATA_ROOT={root}") from None
    usable = [path for path in found if _is_video(path) or (path.is_dir() and not path.name.startswith("."))]
    for path in usable:
        if path.is_dir() and not image_files(path) and any(map(_is_video, path.iterdir())):
            raise DatasetError(
                f"{path}: matched by {key} = {globs!r}, and holds videos instead of images; "
                f"match the videos, e.g. {key}='{path.relative_to(root).parent}/*/*'"
            )
    return sorted(usable, key=lambda path: (natural_key(path.parent), natural_key(path)))


def _named(root: Path, paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """Clip names: the file's stem; where two cameras use the same, the path below the root."""
    stems = [path.name if path.is_dir() else path.stem for path in paths]
    for stem, path in zip(stems, paths, strict=True):
        relative = path.relative_to(root)
        longer = "__".join((*relative.parent.parts, path.name))
        yield (stem if stems.count(stem) == 1 else longer), path


def _scene(path: Path, mend: str) -> str:
    """The scene in a clip's name, SCENE_CLIP."""
    scene, underscore, clip = path.stem.partition("_")
    if not (scene and underscore and clip):
        raise DatasetError(f"{path}: its name has no scene; clips of several scenes are named SCENE_CLIP; {mend}")
    if not re.fullmatch(NAME, scene):
        raise DatasetError(
            f"{path}: scene {scene!r}: must be lower-case letters, digits and dashes, as deployments' names are; {mend}"
        )
    return scene


def _number(path: Path) -> int:
    digits = re.search(r"\d+", path.stem)
    if digits is None:
        raise DatasetError(f"{path}: no clip number in its name; restore the official name")
    return int(digits.group())


def _present(truth: Path, clip: Path) -> Path:
    if not truth.exists():
        raise DatasetError(f"{truth}: missing, the ground truth of {clip.name}; restore it from the dataset's archive")
    return truth


def _array_truth(label_file: Path, mask_file: Path) -> Truth | None:
    """Truth from .npy / .npz arrays, whichever exist."""
    from_file: Callable[[int], Labels] | None = None
    masks: Callable[[], Iterator[Mask]] | None = None
    if label_file.exists():
        from_file = partial(labels.frame_array, label_file)
    if mask_file.exists():
        masks = partial(labels.mask_array, mask_file)
    files = tuple(path for path in (label_file, mask_file) if path.exists())
    return Truth(files, from_file, masks) if files else None


def _ped2_ranges(root: Path) -> tuple[Path, list[list[Range]]] | None:
    for name, read in (
        ("UCSDped2.m", labels.ucsd_m),
        ("Test/UCSDped2.m", labels.ucsd_m),
        ("ped2.mat", labels.ped2_mat),
    ):
        if (root / name).is_file():
            return root / name, read(root / name)
    return None


def _ped2_truth(clip: Path, ranges: tuple[Path, list[list[Range]]] | None, folders: dict[str, Path]) -> Truth:
    folder = folders[clip.name]
    masks = partial(labels.mask_images, folder) if folder.is_dir() and image_files(folder) else None
    files = (folder,) if masks else ()
    if ranges is None:
        if masks is None:
            raise DatasetError(f"{folder}: missing, and no UCSDped2.m or ped2.mat: no ground truth for {clip.name}")
        return Truth(files, None, masks)
    path, table = ranges
    number = _number(clip)
    if not 1 <= number <= len(table):
        raise DatasetError(
            f"{path}: ranges of {len(table)} test clips, none for {clip.name}; restore the official file"
        )
    return Truth((path, *files), partial(labels.from_ranges, path, table[number - 1]), masks)
