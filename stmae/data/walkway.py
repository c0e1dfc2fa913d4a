"""Walkway: a synthetic CCTV scene with exact truth, filmed into real video files.

People cross a pavement in front of one fixed camera. Test clips have one kind of anomaly each: a cyclist, a cart,
a runner, or a big box that drops and tumbles. What `film` writes has the layout of the `folder` reader:

    training/NN.mp4, testing/NN.mp4
    labels/NN.npy   uint8 [F], 1 = enough of the anomaly is visible
    masks/NN.npz    key `masks`, uint8 [F, H, W], 1 = pixels of the anomaly
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from stmae.config import WalkwayConfig, digest
from stmae.data.actors import ANOMALIES, BOX_SIDE_M, POSES, Anomaly, Pose, walker
from stmae.data.arrays import write_atomically
from stmae.data.manifest import DatasetError
from stmae.data.scene import CAMERA_HEIGHT_M, HORIZON, PAVEMENT, Placed, Scene
from stmae.data.video import write_video

VERSION = 1
"""Of the scene; a change films anew."""
STAMP = "walkway.json"
MIN_VISIBLE = 0.0012
"""Share of the frame's pixels that an anomaly must cover to make it abnormal."""
ABNORMAL_SHARE = 0.35
"""Of a test clip's frames, about."""
SPEEDS_M_S: dict[Anomaly, float] = {"cyclist": 3.2, "cart": 2.9, "runner": 3.2, "fallen": 2.9}
BOX_RESTS_S = 0.6
DROP_HEIGHT_M, GRAVITY, BOUNCE = 3.2, 9.81, 0.35

log = logging.getLogger(__name__)

Part = Literal["training", "testing"]
Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """A figure on its way across the view. Seconds and metres; x in pixels."""

    pose: Pose
    enters_s: float
    y: float
    """Image row of its feet where it enters."""
    drift: float
    """Rows a second, downwards."""
    speed: float
    direction: int
    """1 = to the right."""
    pause_s: tuple[float, float] = (0.0, 0.0)
    """Stands still from, for."""
    anomaly: Anomaly | None = None


def film(config: WalkwayConfig, out: Path) -> None:
    """Film the scene into `out`, unless it is there already. The same config gives the same frames.

    Raises DatasetError where `out` holds footage that was not filmed here.
    """
    stamp = out / STAMP
    wanted = digest(config)
    state = _read_stamp(stamp)
    if state == {"version": VERSION, "config": wanted, "complete": True}:
        return
    if state is None and (any(out.glob("training/*")) or any(out.glob("testing/*"))):
        raise DatasetError(f"{out}: holds footage but no {STAMP}: not filmed here; pass another DATA_ROOT")
    for pattern in ("training/*.mp4", "testing/*.mp4", "labels/*.npy", "masks/*.npz"):
        for stale in out.glob(pattern):
            stale.unlink()
    state = {"version": VERSION, "config": wanted, "complete": False}
    write_atomically(stamp, json.dumps(state).encode())
    scene = Scene(config.height, config.width, config.seed)
    for i in range(config.train_clips):
        frames = (frame for frame, _ in shoot(config, scene, "training", i))
        write_video(out / f"training/{i + 1:02}.mp4", frames, config.fps)
        log.info("filmed training clip %d of %d", i + 1, config.train_clips)
    for i in range(config.test_clips):
        masks: list[Bytes] = []
        write_video(
            out / f"testing/{i + 1:02}.mp4",
            _keep_masks(shoot(config, scene, "testing", i), masks),
            config.fps,
        )
        _write_truth(out, f"{i + 1:02}", np.stack(masks))
        log.info("filmed test clip %d of %d", i + 1, config.test_clips)
    write_atomically(stamp, json.dumps(state | {"complete": True}).encode())


def shoot(config: WalkwayConfig, scene: Scene, part: Part, clip: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Frames [H, W, 3] RGB of one clip with their masks [H, W], 1 = anomaly."""
    rng = np.random.default_rng([config.seed, 1 + (part == "testing"), clip])
    actors = _crowd(config, scene, rng)
    if part == "testing":
        actors += _anomalies(config, scene, ANOMALIES[clip % len(ANOMALIES)], rng)
    level, phase, period = rng.uniform(0.95, 1.05), rng.uniform(0, 2 * np.pi), rng.uniform(18, 40)
    for index in range(config.frames):
        time = index / config.fps
        light = level * (1 + 0.025 * np.sin(2 * np.pi * time / period + phase))
        figures = [placed for actor in actors if (placed := _place(actor, scene, time)) is not None]
        frame, mask = scene.render(figures, float(light), rng)
        if mask.sum() < MIN_VISIBLE * mask.size:
            mask = np.zeros_like(mask)
        yield frame, mask


def _crowd(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """Walkers that arrive at random, some before the start; `config.walkers` are in view on average."""
    seconds = config.frames / config.fps
    typical_s = _crossing_m(scene, sum(PAVEMENT) / 2 * scene.height) / 1.2
    time = -1.6 * typical_s
    actors: list[Actor] = []
    while True:
        time += float(rng.exponential(typical_s / config.walkers))
        if time >= seconds:
            return actors
        y = float(rng.uniform(PAVEMENT[0] + 0.04, PAVEMENT[1] - 0.02)) * scene.height
        direction = 1 if rng.random() < 0.5 else -1
        speed = float(rng.uniform(0.95, 1.4))
        pause = (float(rng.uniform(2, 8)), float(rng.uniform(1, 4))) if rng.random() < 0.12 else (0.0, 0.0)
        drift = float(rng.normal(0, 0.004)) * scene.height
        for companion in range(2 if rng.random() < 0.2 else 1):
            beside = y + companion * 0.035 * scene.height
            late = time + companion * float(rng.uniform(0.1, 0.5))
            actors.append(Actor(walker(rng), late, beside, drift, speed, direction, pause))


def _anomalies(config: WalkwayConfig, scene: Scene, kind: Anomaly, rng: np.random.Generator) -> list[Actor]:
    """Crossings that make about ABNORMAL_SHARE of the clip abnormal, with normal footage around each."""
    seconds = config.frames / config.fps
    row = float(rng.uniform(0.52, 0.74)) * scene.height
    speed = SPEEDS_M_S[kind] * float(rng.uniform(0.92, 1.08))
    crossing_s = _crossing_m(scene, row) / speed + (BOX_RESTS_S if kind == "fallen" else 0.0)
    times = max(1, round(ABNORMAL_SHARE * seconds / crossing_s))
    slot = seconds / times
    actors = []
    for i in range(times):
        # A clip too short for a whole crossing ends while the anomaly is in view.
        slack = max(slot - crossing_s, 0.55 * slot if times == 1 and crossing_s > 0.6 * slot else 0.0)
        enters = i * slot + slack * float(rng.uniform(0.45, 0.7))
        direction = 1 if rng.random() < 0.5 else -1
        pause = (_lies_flat_s(0.45 * crossing_s, speed), BOX_RESTS_S) if kind == "fallen" else (0.0, 0.0)
        y = row + float(rng.uniform(-0.03, 0.03)) * scene.height
        actors.append(Actor(POSES[kind](rng), enters, y, 0.0, speed, direction, pause, kind))
    return actors


def _lies_flat_s(about_s: float, speed: float) -> float:
    """The moment nearest to `about_s` at which a tumbling box lies on a side."""
    return round(about_s * speed / BOX_SIDE_M) * BOX_SIDE_M / speed


def _place(actor: Actor, scene: Scene, time: float) -> Placed | None:
    """The actor at a moment; None while it is out of view."""
    since = time - actor.enters_s
    if since < 0:
        return None
    begins, lasts = actor.pause_s
    moving = since - min(max(since - begins, 0.0), lasts)
    distance = actor.speed * moving
    y = actor.y + actor.drift * moving
    scale = scene.pixels_per_metre(y)
    span = _margin_m(actor) * scale
    start = -span if actor.direction > 0 else scene.width + span
    lift = 0.0
    if actor.anomaly == "fallen":
        start = (0.12 if actor.direction > 0 else 0.88) * scene.width
        lift = _drop(since)
    x = start + actor.direction * distance * scale
    if not -span <= x <= scene.width + span:
        return None
    return Placed(actor.pose(distance), x, y, float(actor.direction), lift, actor.anomaly is not None)


def _drop(since: float) -> float:
    """Height in metres of something dropped `since` seconds ago that bounces once."""
    lands = math.sqrt(2 * DROP_HEIGHT_M / GRAVITY)
    if since < lands:
        return DROP_HEIGHT_M - GRAVITY / 2 * since**2
    up = BOUNCE * GRAVITY * lands
    after = since - lands
    return max(0.0, up * after - GRAVITY / 2 * after**2)


def _margin_m(actor: Actor) -> float:
    """Half of what the figure and its shadow need beside the frame."""
    return 2.0 if actor.anomaly in ("cart", "cyclist") else 1.3


def _crossing_m(scene: Scene, y: float) -> float:
    """Width of the view at image row `y`, in metres."""
    return scene.width * CAMERA_HEIGHT_M / (y - HORIZON * scene.height)


def _keep_masks(shots: Iterator[tuple[Bytes, Bytes]], masks: list[Bytes]) -> Iterator[Bytes]:
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
    try:
        state: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return state
