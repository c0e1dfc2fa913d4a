"""The configuration of a run: frozen dataclasses, read from TOML, overridden by `section.key=value`.

Standard library only: every part of the system, with or without torch, reads the same object.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

CONFIGS = Path(__file__).parent / "configs"
NAME = r"[a-z0-9-]+"
"""Of deployments, and of the scenes that are part of their names."""

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the source, the key and the mend."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    reader: Literal["walkway", "ped2", "avenue", "shanghaitech", "folder"] = "folder"
    """Which layout DATA_ROOT has."""
    train_glob: str = "training/*"
    """Reader `folder` only: videos or frame folders with normal footage, comma-separated globs."""
    test_glob: str = "testing/*"
    """Reader `folder` only: footage to evaluate on; labels are optional."""
    calibration_fraction: float = 0.12
    """Share of the training clips kept out of training; the calibration is fitted on them."""
    fps: float = 10.0
    """Reader `folder` only: frame rate of frame folders; videos carry their own."""
    frame_stride: int = 1
    """Keep every n-th training frame's window when sampling; 1 uses all of them."""
    scenes: bool = False
    """Clips are named SCENE_CLIP; each scene is a camera with statistics of its own."""

    def __post_init__(self) -> None:
        _check(
            0 < self.calibration_fraction < 0.5, "data.calibration_fraction", self.calibration_fraction, "in (0, 0.5)"
        )
        _check(0 < self.fps <= 1000, "data.fps", self.fps, "in (0, 1000]")
        _check(self.frame_stride >= 1, "data.frame_stride", self.frame_stride, "at least 1")


WALKWAY_KINDS = ("cyclist", "cart", "runner", "fallen", "object", "loiterer", "wrong-way")
"""What a synthetic scene can film besides walkers."""
WALKWAY_TRAFFIC = ("", "cart", "runner", "cyclist")
"""Of these, what is normal in scene 1, 2, 3, 4."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WalkwayConfig:
    """The synthetic CCTV scenes that are filmed when the reader is `walkway`."""

    seed: int = 7
    scenes: int = 1
    """How many of the four scenes; with more than one, each has `train_clips` and `test_clips`."""
    first_scene: int = 1
    anomalies: str = "cyclist,cart,runner,fallen"
    """Kinds that a scene's test clips cycle through, comma-separated; what is normal in a scene is left out there."""
    one_way: bool = False
    """Walkers keep to lanes: to the left on the far half of the pavement, to the right on the near half."""
    train_clips: int = 8
    test_clips: int = 8
    frames: int = 160
    """Frames a clip."""
    height: int = 144
    width: int = 192
    fps: float = 10.0
    walkers: int = 3
    """Mean number of people in view."""

    def __post_init__(self) -> None:
        _check(self.train_clips >= 2, "walkway.train_clips", self.train_clips, "at least 2 (one is held out)")
        _check(self.test_clips >= 1, "walkway.test_clips", self.test_clips, "at least 1")
        _check(self.walkers >= 1, "walkway.walkers", self.walkers, "at least 1")
        _check(self.frames >= 30, "walkway.frames", self.frames, "at least 30")
        # Video codecs want even sizes.
        _check(self.height >= 48 and self.height % 2 == 0, "walkway.height", self.height, "even, at least 48")
        _check(self.width >= 48 and self.width % 2 == 0, "walkway.width", self.width, "even, at least 48")
        _check(0 < self.fps <= 1000, "walkway.fps", self.fps, "in (0, 1000]")
        count = len(WALKWAY_TRAFFIC)
        _check(1 <= self.scenes <= count, "walkway.scenes", self.scenes, f"1 to {count}")
        last = count + 1 - self.scenes
        _check(1 <= self.first_scene <= last, "walkway.first_scene", self.first_scene, f"1 to {last}")
        for kind in self._kinds():
            hint = _nearest(kind, WALKWAY_KINDS)
            must = f"a list of {', '.join(WALKWAY_KINDS)}{hint}"
            _check(kind in WALKWAY_KINDS, "walkway.anomalies", self.anomalies, must)
            usable = self.one_way or kind != "wrong-way"
            _check(usable, "walkway.anomalies", self.anomalies, "without wrong-way unless walkway.one_way = true")
        for scene in self.scene_numbers():
            must = f"a list with a kind that is not normal in scene {scene}"
            _check(bool(self.anomalies_in(scene)), "walkway.anomalies", self.anomalies, must)

    def scene_numbers(self) -> range:
        """The scenes to film."""
        return range(self.first_scene, self.first_scene + self.scenes)

    def anomalies_in(self, scene: int) -> tuple[str, ...]:
        """The kinds that the test clips of a scene cycle through."""
        return tuple(kind for kind in self._kinds() if kind != WALKWAY_TRAFFIC[scene - 1])

    def _kinds(self) -> list[str]:
        return [kind.strip() for kind in self.anomalies.split(",") if kind.strip()]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    size: int = 256
    """Height and width at which the auto-encoders see frames, in pixels; a multiple of 32."""
    flow_scale: Literal[1, 2, 3] = 1
    """FRAMES, and the flow on them, are this many times as high and wide: small auto-encoders, sharp flow."""
    width: int = 64
    """Channels of the first encoder layer; features have 4 x width channels (the paper's C)."""
    shortcuts: bool = False
    """A linear path beside the convolutions of every encoder and decoder: a still background is learnt at once."""
    memory_items: int = 32
    """N, items in each memory pool."""
    top_k: int = 8
    """k, queries that write to an item in a step; 0 lets all of them write."""
    scenes: int = 1
    """Scenes with memory pools and places of their own, beside a pool that all share; 1 tells no scenes apart."""
    streams: Literal["both", "appearance", "motion"] = "both"
    """What the prediction is made from; fewer than both is for the ablation."""
    memories: Literal["both", "appearance", "motion", "none"] = "both"
    """Streams that have a memory; fewer than both is for the ablation."""

    def __post_init__(self) -> None:
        _check(self.size >= 32 and self.size % 32 == 0, "model.size", self.size, "a multiple of 32")
        _check(self.width >= 4, "model.width", self.width, "at least 4")
        _check(self.memory_items >= 2, "model.memory_items", self.memory_items, "at least 2")
        _check(self.top_k >= 0, "model.top_k", self.top_k, "0 or more")
        _check(self.scenes >= 1, "model.scenes", self.scenes, "at least 1")
        apart = self.memories != "both" and self.streams != "both" and self.memories not in ("none", self.streams)
        _check(not apart, "model.memories", self.memories, f"none or {self.streams}, the only stream")

    @property
    def remembered(self) -> tuple[str, ...]:
        """The streams that have a memory."""
        return tuple(stream for stream in self.used if self.memories in ("both", stream))

    @property
    def used(self) -> tuple[str, ...]:
        """The streams that the prediction is made from."""
        return tuple(stream for stream in ("appearance", "motion") if self.streams in ("both", stream))

    @property
    def frame_size(self) -> int:
        """Height and width of FRAMES and of prepared frames, in pixels."""
        return self.size * self.flow_scale


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    batch: int = 8
    optimizer: Literal["adam", "muon"] = "adam"
    """Of all but the discriminator. Muon learns convolution kernels in far fewer steps; the rest stays with Adam."""
    learning_rate: float = 4e-4
    """Adam's."""
    muon_learning_rate: float = 0.02
    discriminator_learning_rate: float = 4e-5
    pretrain_epochs: int = 20
    """Epochs of each proxy task."""
    adversarial_epochs: int = 60
    encoder_lr_scale: float = 1.0
    """0 freezes the encoders in adversarial training (section 2.1 of the paper); > 0 fine-tunes them (2.3)."""
    noise: float = 0.2
    """Share of pixels that the denoising task replaces, half salt half pepper."""
    lambda_motion: float = 0.6
    """lambda_1, weight of L_m."""
    motion_windows: int = 8
    """Windows of a batch on which L_m, the dearest of the losses, is taken: fewer is faster, its mean is the same."""
    lambda_compact: float = 0.01
    """lambda_2, weight of L_c."""
    lambda_adversarial: float = 0.05
    """lambda_3, weight of L_adv."""
    compact_margin: float = 1.0
    """Margin by which the nearest memory item beats the second nearest in L_c."""
    bf16: bool = True
    """bf16 autocast in the training loops, on hardware that computes in it; fp32 elsewhere."""
    deterministic: bool = False
    """The same weights bit for bit on a GPU too, more slowly, or an error; CPUs always give the same."""
    checkpoint_steps: int = 500
    """Steps between checkpoints, at most; each epoch's end is one too."""

    def __post_init__(self) -> None:
        _check(self.batch >= 2, "train.batch", self.batch, "at least 2 (batch normalisation)")
        _check(self.pretrain_epochs >= 1, "train.pretrain_epochs", self.pretrain_epochs, "at least 1")
        _check(self.adversarial_epochs >= 1, "train.adversarial_epochs", self.adversarial_epochs, "at least 1")
        _check(self.learning_rate > 0, "train.learning_rate", self.learning_rate, "positive")
        _check(self.muon_learning_rate > 0, "train.muon_learning_rate", self.muon_learning_rate, "positive")
        rate = self.discriminator_learning_rate
        _check(rate > 0, "train.discriminator_learning_rate", rate, "positive")
        for key in ("lambda_motion", "lambda_compact", "lambda_adversarial", "compact_margin"):
            _check(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 or more")
        _check(self.motion_windows >= 1, "train.motion_windows", self.motion_windows, "at least 1")
        _check(self.encoder_lr_scale >= 0, "train.encoder_lr_scale", self.encoder_lr_scale, "0 or more")
        _check(0 <= self.noise < 1, "train.noise", self.noise, "in [0, 1)")
        _check(self.checkpoint_steps >= 1, "train.checkpoint_steps", self.checkpoint_steps, "at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ScoreConfig:
    """How raw scores become events. Changing these needs neither a redeploy nor a rescore."""

    smoothing_seconds: float = 0.7
    """Standard deviation of the Gaussian over time."""
    enter_quantile: float = 0.999
    """An event starts where the smoothed score exceeds this quantile of normal footage (stmae.scoring.calibration)."""
    exit_quantile: float = 0.99
    """... and lasts while it stays above this one."""
    min_seconds: float = 0.4
    """Shorter events are dropped."""
    merge_seconds: float = 1.0
    """Events closer than this are one."""

    def __post_init__(self) -> None:
        _check(
            0 < self.exit_quantile <= self.enter_quantile < 1,
            "score.exit_quantile",
            self.exit_quantile,
            "in (0, score.enter_quantile], and score.enter_quantile below 1",
        )
        for key in ("smoothing_seconds", "min_seconds", "merge_seconds"):
            _check(getattr(self, key) >= 0, f"score.{key}", getattr(self, key), "0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    segment_frames: int = 64
    """T of the requests the batch job sends; neighbours overlap by the 4 frames of a clip."""

    def __post_init__(self) -> None:
        _check(self.segment_frames >= 5, "serve.segment_frames", self.segment_frames, "at least 5")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    name: str
    """Name of the dataset and of the deployment: lower-case letters, digits and dashes."""
    seed: int = 1
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    walkway: WalkwayConfig = dataclasses.field(default_factory=WalkwayConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    score: ScoreConfig = dataclasses.field(default_factory=ScoreConfig)
    serve: ServeConfig = dataclasses.field(default_factory=ServeConfig)

    def __post_init__(self) -> None:
        ok = re.fullmatch(NAME, self.name) is not None and self.name not in ("flow", "psnr")
        _check(self.seed >= 0, "seed", self.seed, "0 or more")
        _check(ok, "name", self.name, "lower-case letters, digits and dashes, and neither flow nor psnr")

    def to_json(self) -> str:
        """Canonical JSON: the form in which a resolved config travels between pipeline steps."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))


def names() -> list[str]:
    """Names of the configurations that ship with the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def load(name_or_path: str, overrides: Iterable[str] = ()) -> Config:
    """Read a shipped configuration (`ped2`) or a TOML file, then apply `section.key=value` overrides.

    Raises ConfigError for an unknown name, key or value, with the nearest valid one.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIGS / f"{name_or_path}.toml"
        if name_or_path not in names():
            hint = _nearest(name_or_path, names())
            raise ConfigError(
                f"no configuration {name_or_path!r}{hint}; shipped: {', '.join(names())}; or a .toml path"
            )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for override in overrides:
        _apply(table, override)
    return _build(Config, table, "", str(path))


def from_json(text: str) -> Config:
    """Inverse of `Config.to_json`."""
    return _build(Config, json.loads(text), "", "config JSON")


def digest(config: object) -> str:
    """SHA-256 (hex) of a resolved configuration dataclass, whole or one section."""
    table = dataclasses.asdict(config)  # type: ignore[call-overload]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _check(ok: bool, key: str, value: object, must: str) -> None:
    if not ok:
        raise ConfigError(f"{key} = {value!r}: must be {must}")


def _nearest(name: str, valid: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.4)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _apply(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r}: write it as section.key=value")
    *sections, leaf = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"override {override!r}: {section!r} is not a section")
    try:
        table[leaf] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[leaf] = value  # a bare word is a string, as people type it


def _build(cls: type[T], table: Mapping[str, Any], prefix: str, source: str) -> T:
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            hint = _nearest(key, hints)
            raise ConfigError(f"{source}: unknown key {prefix + key!r}{hint}; valid: {', '.join(sorted(hints))}")
        values[key] = _coerce(hints[key], value, prefix + key, source)
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    except TypeError:
        raise ConfigError(f"{source}: key {prefix + 'name'!r} is missing") from None


def _coerce(hint: Any, value: Any, key: str, source: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{source}: {key!r} is a section, got {value!r}")
        return _build(typing.cast(type[Any], hint), value, key + ".", source)
    if typing.get_origin(hint) in (Literal, types.UnionType):
        choices = typing.get_args(hint)
        if value not in choices:
            hint_text = _nearest(str(value), map(str, choices))
            raise ConfigError(f"{source}: {key} = {value!r}{hint_text}; one of {', '.join(map(str, choices))}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{source}: {key} = {value!r}: must be {hint.__name__}, got {type(value).__name__}")
    return value
