"""The manifest of a prepared dataset: its clips, the bytes they were made from, and their arrays.

<root>/manifest.json
<root>/frames/<split>/<name>.npy   uint8 [F, S, S, 3] RGB
<root>/labels/<split>/<name>.npy   uint8 [F], 1 = abnormal; test clips that have labels or masks
<root>/masks/<split>/<name>.npy    uint8 [F, S, S], 1 = abnormal; test clips that have masks
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from stmae.config import Config
from stmae.storage.atomic import write_atomically

Split = Literal["train", "calibration", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Kind = Literal["frames", "labels", "masks"]
"""The arrays of a clip."""
FORMAT = 4
"""Version of the prepared dataset; where it differs, everything is prepared again."""


class DatasetError(ValueError):
    """A dataset that cannot be used; the message names the file, the field and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A prepared clip: frames of one video at a fixed rate."""

    name: str
    """Unique within its split."""
    split: Split
    source: str
    """Video or image folder, relative to the dataset's folder."""
    frames: int
    height: int
    """Height of the source, pixels."""
    width: int
    """Width of the source, pixels."""
    sha256: str
    """Digest of the source's bytes; for an image folder, of its files' names and bytes."""
    truth_sha256: str
    """Digest of the files with its labels and masks; empty where it has none."""
    labelled: bool
    masked: bool
    scene: str = ""
    """The camera that filmed it; empty where the dataset has one scene."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The clips of a prepared dataset."""

    root: Path
    dataset: str
    size: int
    """Height and width of the frames, pixels."""
    fps: float
    """Rate at which footage was sampled, frames a second."""
    clips: tuple[Clip, ...]
    digest: str
    """SHA-256 (hex) of everything but `root`."""

    @classmethod
    def of(cls, root: Path, dataset: str, size: int, fps: float, clips: tuple[Clip, ...]) -> Manifest:
        """Returns a manifest with its digest computed."""
        content = [FORMAT, dataset, size, fps, [dataclasses.asdict(clip) for clip in clips]]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return cls(root, dataset, size, fps, clips, digest)

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Reads `<root>/manifest.json`. Raises DatasetError where it is absent or broken."""
        path = Path(root) / "manifest.json"
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            clips = tuple(Clip(**clip) for clip in table["clips"])
            manifest = cls.of(Path(root), table["dataset"], table["size"], table["fps"], clips)
            digest = table["digest"]
        except FileNotFoundError:
            raise DatasetError(f"{path}: no prepared dataset there; run `stmae prepare` first") from None
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{path}: not a manifest ({error!r}); delete it and prepare again") from None
        if digest != manifest.digest:
            raise DatasetError(
                f"{path}: field digest does not match its clips: edited, or of another version; prepare again"
            )
        return manifest

    def save(self) -> None:
        """Writes `<root>/manifest.json`, atomically."""
        table = {
            "dataset": self.dataset,
            "size": self.size,
            "fps": self.fps,
            "digest": self.digest,
            "clips": [dataclasses.asdict(clip) for clip in self.clips],
        }
        write_atomically(self.root / "manifest.json", (json.dumps(table, indent=1) + "\n").encode())

    @property
    def training_digest(self) -> str:
        """Returns the digest of the training and calibration clips, which are all that trained models depend on."""
        return Manifest.of(
            self.root, "", self.size, self.fps, (*self.split("train"), *self.split("calibration"))
        ).digest

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes, sorted; one empty name where the dataset has one scene."""
        return tuple(sorted({clip.scene for clip in self.clips}))

    def split(self, split: Split) -> tuple[Clip, ...]:
        """Returns the clips of one split, in the dataset's order."""
        return tuple(clip for clip in self.clips if clip.split == split)

    def frames(self, clip: Clip) -> npt.NDArray[np.uint8]:
        """Returns the frames [F, S, S, 3] RGB of a clip, memory-mapped, read-only."""
        return self._array("frames", clip)

    def labels(self, clip: Clip) -> npt.NDArray[np.uint8] | None:
        """Returns the labels [F] of a clip, 1 = abnormal; None where it has neither labels nor masks."""
        return self._array("labels", clip) if clip.labelled else None

    def masks(self, clip: Clip) -> npt.NDArray[np.uint8] | None:
        """Returns the masks [F, S, S] of a clip, 1 = abnormal, memory-mapped; None where it has none."""
        return self._array("masks", clip) if clip.masked else None

    def path(self, kind: Kind, split: Split, name: str) -> Path:
        """Returns the file of an array."""
        return self.root / kind / split / f"{name}.npy"

    def _array(self, kind: Kind, clip: Clip) -> npt.NDArray[np.uint8]:
        path = self.path(kind, clip.split, clip.name)
        try:
            array: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: listed in the manifest but unreadable ({error}); prepare again") from None
        return array


def scene_index(config: Config, manifest: Manifest, clip: Clip) -> int:
    """Returns the number of a clip's scene in the model. Raises ValueError where the model has other scenes."""
    if config.model.scenes == 1:
        return 0
    if config.model.scenes != len(manifest.scenes):
        raise ValueError(
            f"model.scenes = {config.model.scenes}, but {manifest.root} has {len(manifest.scenes)} "
            f"({', '.join(manifest.scenes)}); set model.scenes={len(manifest.scenes)}, or 1 for one model of all"
        )
    return manifest.scenes.index(clip.scene)
