"""Flow extraction: the flow between all consecutive frames of a dataset, computed once, kept per clip."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
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
from stmae.model.stmae import to_signed

PAIRS = 16
"""Pairs a call of the net."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class FlowCache:
    """Flow of a prepared dataset, fp16 in pixels of the frames, at the flow net's own resolution."""

    root: Path
    digest: str
    """Of the flow net's weights and the size of its frames: another net uses other files."""

    @classmethod
    def of(cls, root: Path, manifest: Manifest) -> FlowCache:
        """The cache below `root` for frames of this dataset's size and the flow net of the package."""
        return cls(root, hashlib.sha256(f"{flow_digest()} {manifest.size}".encode()).hexdigest())

    def path(self, clip: Clip) -> Path:
        """Of this footage: what else is in the dataset doesn't matter."""
        footage = hashlib.sha256(f"{clip.sha256} {clip.frames}".encode()).hexdigest()
        return self.root / self.digest[:16] / clip.split / f"{clip.name}-{footage[:16]}.npy"

    def flows(self, clip: Clip) -> npt.NDArray[np.float16]:
        """[F-1,2,h,w], memory-mapped. Raises FileNotFoundError naming the step that makes it."""
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
    """Flow of consecutive frames [F,S,S,3], in runs of at most PAIRS: [n,2,h,w] each, F-1 in all.

    What the cache holds; calling it on the fly gives the same values.
    """
    for start in range(0, len(frames) - 1, PAIRS):
        run = torch.from_numpy(np.array(frames[start : start + PAIRS + 1])).to(device)
        signed = to_signed(run)
        with torch.inference_mode():
            yield net(signed[:-1], signed[1:]).half().cpu().numpy()


def extract_flow(config: Config, manifest: Manifest, out: Path) -> FlowCache:
    """Write the flow of every clip below `out`, atomically a clip; clips that are there are left alone."""
    device = training_device()
    net = build_flow_net().to(device)
    cache = FlowCache.of(out, manifest)
    for clip in manifest.clips:
        path = cache.path(clip)
        if path.exists():
            continue
        pairs = write_npy(path, (flow for run in compute_flow(net, manifest.frames(clip), device) for flow in run))
        log.info("flow extracted", extra={"clip": clip.name, "pairs": pairs})
    return cache
