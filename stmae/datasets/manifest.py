"""The prepared dataset: what is in it, from which bytes it was made, and its arrays.

<root>/manifest.json
<root>/frames/<split>/<name>.npy   uint8 [F, S, S, 3] RGB
<root>/labels/<split>/<name>.npy   uint8 [F], 1 = abnormal; test clips whose source has truth
<root>/masks/<split>/<name>.npy    uint8 [F, S, S], 1 = abnormal; test clips whose source has pixel truth
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from stmae.config import Config
from stmae.datasets.arrays import write_atomically

Split = Literal["train", "calibration", "test"]
FORMAT = 3
"""Of the prepared dataset; a change prepares everything anew."""


class DatasetError(ValueError):
    """A dataset that cannot be used; the message names the file, the field and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A prepared clip: consecutive frames of one video."""

    name: str
    """Unique in its split."""
    split: Split
    source: str
    """Video or frame folder, relative to the data root."""
    frames: int
    fps: float
    height: int
    """Of the source, pixels."""
    width: int
    sha256: str
    """Of the source's bytes; of a frame folder, of its files' names and bytes."""
    truth_sha256: str
    """Of the files its labels and masks come from; empty where it has none."""
    labelled: bool
    masked: bool
    scene: str = ""
    """The camera that filmed it; empty where the dataset has one scene."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The clips of a prepared dataset. `digest` is of everything but the place where it lies."""

    root: Path
    dataset: str
    size: int
    """Height and width of the frames, pixels."""
    clips: tuple[Clip, ...]
    digest: str

    @classmethod
    def of(cls, root: Path, dataset: str, size: int, clips: tuple[Clip, ...]) -> Manifest:
        """Assemble, and compute the digest."""
        content = [FORMAT, dataset, size, [dataclasses.asdict(clip) for clip in clips]]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return cls(root, dataset, size, clips, digest)

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Read `<root>/manifest.json`. Raises DatasetError where it is absent or broken."""
        path = Path(root) / "manifest.json"
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            clips = tuple(Clip(**clip) for clip in table["clips"])
            manifest = cls.of(Path(root), table["dataset"], table["size"], clips)
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
        """Write `<root>/manifest.json`, atomically."""
        table = {
            "dataset": self.dataset,
            "size": self.size,
            "digest": self.digest,
            "clips": [dataclasses.asdict(clip) for clip in self.clips],
        }
        write_atomically(self.root / "manifest.json", (json.dumps(table, indent=1) + "\n").encode())

    @property
    def training_digest(self) -> str:
        """Of the normal clips alone: another test clip or label leaves what was learnt as it is."""
        return Manifest.of(self.root, "", self.size, (*self.split("train"), *self.split("calibration"))).digest

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes in their order; one empty name where there is one scene."""
        return tuple(sorted({clip.scene for clip in self.clips}))

    def split(self, split: Split) -> tuple[Clip, ...]:
        """The clips of one split, in the dataset's order."""
        return tuple(clip for clip in self.clips if clip.split == split)

    def frames(self, clip: Clip) -> npt.NDArray[np.uint8]:
        """[F, S, S, 3] RGB, mapped from disk, read-only."""
        return self._array("frames", clip)

    def labels(self, clip: Clip) -> npt.NDArray[np.uint8] | None:
        """[F], 1 = abnormal; None for a clip without truth."""
        return self._array("labels", clip) if clip.labelled else None

    def masks(self, clip: Clip) -> npt.NDArray[np.uint8] | None:
        """[F, S, S], 1 = abnormal, mapped from disk; None for a clip without pixel truth."""
        return self._array("masks", clip) if clip.masked else None

    def path(self, kind: Literal["frames", "labels", "masks"], split: Split, name: str) -> Path:
        """Where an array lies."""
        return self.root / kind / split / f"{name}.npy"

    def _array(self, kind: Literal["frames", "labels", "masks"], clip: Clip) -> npt.NDArray[np.uint8]:
        path = self.path(kind, clip.split, clip.name)
        try:
            array: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: listed in the manifest but unreadable ({error}); prepare again") from None
        return array


def scene_index(config: Config, manifest: Manifest, clip: Clip) -> int:
    """Whose memory a clip is compared with. Raises ValueError where the model has another number of scenes."""
    if config.model.scenes == 1:
        return 0
    if config.model.scenes != len(manifest.scenes):
        raise ValueError(
            f"model.scenes = {config.model.scenes}, but {manifest.root} has {len(manifest.scenes)} "
            f"({', '.join(manifest.scenes)}); set model.scenes={len(manifest.scenes)}, or 1 to tell no scenes apart"
        )
    return manifest.scenes.index(clip.scene)
