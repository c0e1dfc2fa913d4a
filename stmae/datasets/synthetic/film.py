"""Filming: synthetic scenes become video files with exact ground truth, in the layout of the `folder` reader.

    training/NN.mp4, testing/NN.mp4
    labels/NN.npy   uint8 [F], 1 = enough of the anomaly is visible
    masks/NN.npz    key `masks`, uint8 [F, H, W], 1 = pixels of the anomaly

Where there are several scenes, clips are named SCENE_CLIP, as in 01_003.mp4.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from stmae.config import digest
from stmae.datasets.manifest import DatasetError
from stmae.datasets.synthetic.anomalies import with_anomalies
from stmae.datasets.synthetic.config import WalkwayConfig
from stmae.datasets.synthetic.crowd import crowd, normal_movers
from stmae.datasets.synthetic.scene import CameraDrift, Scene
from stmae.storage.atomic import write_atomically
from stmae.video.writer import write_video

VERSION = 4
"""Version of the scenes; where it differs, they are filmed again."""
STAMP = "walkway.json"
"""Says which configuration a folder was filmed for, and whether filming was completed."""
MIN_VISIBLE = 0.0012
"""Fraction of the frame's pixels that an anomaly must cover for the frame to be abnormal."""

log = logging.getLogger(__name__)

Part = Literal["training", "testing"]
Bytes = npt.NDArray[np.uint8]


def film(config: WalkwayConfig, out: Path) -> None:
    """Films the scenes into `out`, unless they are there already. The same config gives the same frames.

    Raises DatasetError where `out` holds anything that was not filmed here.
    """
    stamp = out / STAMP
    wanted = digest(config)
    state = _read_stamp(stamp)
    if state == {"version": VERSION, "config": wanted, "complete": True}:
        return
    # `labels` and `training` are common names: files of somebody else must not be replaced.
    if state is None and out.exists() and any(out.iterdir()):
        raise DatasetError(f"DATA_ROOT={out}: holds files but no {STAMP}: not filmed here; pass an empty one, or none")
    for pattern in ("training/*.mp4", "testing/*.mp4", "labels/*.npy", "masks/*.npz"):
        for stale in out.glob(pattern):
            stale.unlink()
    state = {"version": VERSION, "config": wanted, "complete": False}
    write_atomically(stamp, json.dumps(state).encode())
    for number in config.scene_numbers():
        _film_scene(config, number, out)
    write_atomically(stamp, json.dumps(state | {"complete": True}).encode())


def _film_scene(config: WalkwayConfig, number: int, out: Path) -> None:
    scene = Scene(config.height, config.width, config.seed, number)
    names = "{:02}" if config.scenes == 1 else f"{number:02}_{{:03}}"
    for i in range(config.train_clips):
        frames = (frame for frame, _ in shoot(config, scene, "training", i))
        write_video(out / f"training/{names.format(i + 1)}.mp4", frames, config.fps)
        log.info("filmed training clip %d of %d of scene %d", i + 1, config.train_clips, number)
    for i in range(config.test_clips):
        name, masks = names.format(i + 1), list[Bytes]()
        shots = shoot(config, scene, "testing", i)
        write_video(out / f"testing/{name}.mp4", _keep_masks(shots, masks), config.fps)
        _write_truth(out, name, np.stack(masks))
        log.info("filmed test clip %d of %d of scene %d", i + 1, config.test_clips, number)


def shoot(config: WalkwayConfig, scene: Scene, part: Part, clip: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Yields the frames [H, W, 3] RGB of one clip with their masks [H, W], 1 = anomaly."""
    rng = scene.random(1 + (part == "testing"), clip)
    actors = crowd(config, scene, rng) + normal_movers(config, scene, rng)
    if part == "testing":
        kinds = config.anomalies_in(scene.number)
        actors = with_anomalies(config, scene, actors, kinds[clip % len(kinds)], rng)
    drift, phase, period = CameraDrift.draw(rng), rng.uniform(0, 2 * np.pi), rng.uniform(18, 40)
    for index in range(config.frames):
        time = index / config.fps
        light = 1 + 0.025 * np.sin(2 * np.pi * time / period + phase)
        figures = [placed for actor in actors if (placed := actor.place(scene, time)) is not None]
        frame, mask = scene.render(figures, float(light), drift, rng)
        if mask.sum() < MIN_VISIBLE * mask.size:
            mask = np.zeros_like(mask)
        yield frame, mask


def _keep_masks(shots: Iterator[tuple[Bytes, Bytes]], masks: list[Bytes]) -> Iterator[Bytes]:
    """Yields the frames and appends their masks to `masks`."""
    for frame, mask in shots:
        masks.append(mask)
        yield frame


def _write_truth(out: Path, name: str, masks: Bytes) -> None:
    labels, archive = io.BytesIO(), io.BytesIO()
    np.save(labels, masks.any(axis=(1, 2)).astype(np.uint8))
    np.savez_compressed(archive, masks=masks)
    write_atomically(out / f"labels/{name}.npy", labels.getvalue())
    write_atomically(out / f"masks/{name}.npz", archive.getvalue())


def _read_stamp(path: Path) -> dict[str, object] | None:
    """Returns what the stamp says; None where there is none, empty where it cannot be read."""
    try:
        state: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return state
