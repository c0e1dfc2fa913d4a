"""The flow cache: the flow between consecutive frames of a prepared dataset, computed once and kept a clip."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from stmae.config import Config
from stmae.datasets.arrays import write_npy
from stmae.datasets.manifest import Clip, Manifest
from stmae.model.build import build_flow_net, flow_digest
from stmae.model.device import training_device
from stmae.model.flow import FlowNet

BATCH_PAIRS = 16
"""Pairs of frames in one call of the flow net."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class FlowCache:
    """The flow of a prepared dataset: fp16, in pixels of the frames, at the flow net's own resolution."""

    root: Path
    digest: str
    """SHA-256 (hex) of the flow net's weights and the frame size; another net writes other files."""

    @classmethod
    def of(cls, root: Path, manifest: Manifest) -> FlowCache:
        """Returns the cache below `root` for this dataset's frame size and the flow net of the package."""
        return cls(root, hashlib.sha256(f"{flow_digest()} {manifest.size}".encode()).hexdigest())

    def path(self, clip: Clip) -> Path:
        """Returns the file of a clip's flow. It depends on the clip's footage, not on the rest of the dataset."""
        footage = hashlib.sha256(f"{clip.sha256} {clip.frames}".encode()).hexdigest()
        return self.root / self.digest[:16] / clip.split / f"{clip.name}-{footage[:16]}.npy"

    def flows(self, clip: Clip) -> npt.NDArray[np.float16]:
        """Returns a clip's flow [F-1,2,h,w], memory-mapped. Raises FileNotFoundError where it was not extracted."""
        path = self.path(clip)
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no flow for clip {clip.name!r}; run flow extraction on this dataset first"
            )
        flows: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
        return flows


def compute_flow(
    net: FlowNet, frames: npt.NDArray[np.uint8], device: torch.device
) -> Iterator[npt.NDArray[np.float16]]:
    """Yields the flow of consecutive frames [F,S,S,3] in batches [n,2,h,w] of at most BATCH_PAIRS, F-1 pairs in all.

    The values are those that the cache holds.
    """
    for start in range(0, len(frames) - 1, BATCH_PAIRS):
        batch = torch.from_numpy(np.array(frames[start : start + BATCH_PAIRS + 1])).to(device)
        with torch.inference_mode():
            grey = net.luma(batch)
            yield net(grey[:-1], grey[1:]).half().cpu().numpy()


def extract_flow(config: Config, manifest: Manifest, out: Path) -> FlowCache:
    """Writes the flow of every clip below `out`, each file atomically; files that exist are kept."""
    device = training_device()
    net = build_flow_net().to(device)
    cache = FlowCache.of(out, manifest)
    for clip in manifest.clips:
        path = cache.path(clip)
        if path.exists():
            continue
        batches = compute_flow(net, manifest.frames(clip), device)
        # Runs of the same dataset share a cache, and may compute the same clip at the same time.
        pairs = write_npy(path, (flow for batch in batches for flow in batch), shared=True)
        log.info("flow extracted", extra={"clip": clip.name, "pairs": pairs})
    return cache


def link_or_copy(source: Path, target: Path) -> None:
    """Gives a file a second name; on another file system, copies it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
