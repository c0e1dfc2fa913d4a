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
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

CONFIGS = Path(__file__).parent / "configs"
NAME = r"[a-z0-9-]+"
"""Pattern of deployment names, and of the scene names that are part of them."""

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the source, the key and the mend."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    reader: str = "folder"
    """The layout of DATA_ROOT; stmae.datasets.readers lists the names."""
    train_glob: str = "training/*"
    """Reader `folder` only: videos or frame folders with normal footage, comma-separated globs."""
    test_glob: str = "testing/*"
    """Reader `folder` only: footage to evaluate on; labels are optional."""
    calibration_fraction: float = 0.12
    """Fraction of the training clips that forms the calibration split instead."""
    fps: float = 10.0
    """Frames a second at which footage is sampled by time, in training and in scoring. Frame folders of reader `folder`
    are taken to have this rate."""
    train_frames: int = 0
    """Frames of each scene that are trained on, at most; 0 for all. Of longer footage short stretches are kept."""
    calibration_frames: int = 0
    """Frames of each scene that form the calibration split, at most; 0 for `calibration_fraction` of all. Of longer
    footage long stretches are kept."""
    frame_stride: int = 1
    """Training uses the window of every n-th frame; 1 uses all of them."""
    scenes: bool = False
    """Clips are named SCENE_CLIP; each scene is a camera with its own normality model."""

    def __post_init__(self) -> None:
        inside = 0 < self.calibration_fraction < 0.5
        check(inside, "data.calibration_fraction", self.calibration_fraction, "in (0, 0.5)")
        check(0 < self.fps <= 1000, "data.fps", self.fps, "in (0, 1000]")
        for key in ("train_frames", "calibration_frames"):
            check(getattr(self, key) >= 0, f"data.{key}", getattr(self, key), "0 or more")
        check(self.frame_stride >= 1, "data.frame_stride", self.frame_stride, "at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    size: int = 256
    """Height and width at which the auto-encoders see frames, in pixels; a multiple of 32."""
    flow_scale: Literal[1, 2, 3] = 1
    """Frames, and the flow between them, have this many times `size`: small auto-encoders, sharp flow."""
    width: int = 64
    """Channels of the first encoder layer; features have 4 x width channels (the paper's C)."""
    shortcuts: bool = False
    """Adds linear paths beside the convolutions of encoders and decoders: a still background is learnt at once."""
    memory_items: int = 32
    """N, items in each memory pool."""
    top_k: int = 8
    """k, queries that write to a memory item in a step; 0 lets all of them write."""
    scenes: int = 1
    """Scenes with their own memory pools and detectors, beside a pool that all share; 1 treats all clips alike."""
    streams: Literal["both", "appearance", "motion"] = "both"
    """The streams that the prediction uses; the ablation uses fewer than both."""
    memories: Literal["both", "appearance", "motion", "none"] = "both"
    """The streams that have a memory; the ablation uses fewer than both."""
    features: Literal["gradients", "efficientnet-lite0"] = "efficientnet-lite0"
    """What describes moving tiles to the appearance detector: gradient histograms, or features of a pretrained net."""

    def __post_init__(self) -> None:
        check(self.size >= 32 and self.size % 32 == 0, "model.size", self.size, "a multiple of 32")
        for key, least in (("width", 4), ("memory_items", 2), ("top_k", 0), ("scenes", 1)):
            check(getattr(self, key) >= least, f"model.{key}", getattr(self, key), f"at least {least}")
        apart = self.memories != "both" and self.streams != "both" and self.memories not in ("none", self.streams)
        check(not apart, "model.memories", self.memories, f"none or {self.streams}, the only stream")

    @property
    def remembered(self) -> tuple[str, ...]:
        """Names of the streams that have a memory."""
        return tuple(stream for stream in self.used if self.memories in ("both", stream))

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the streams that the prediction uses."""
        return tuple(stream for stream in ("appearance", "motion") if self.streams in ("both", stream))

    @property
    def handed_over(self) -> int:
        """Returns the channels that the served encoder hands to the decoder: features, and the shares of items."""
        items = self.memory_items * (2 if self.scenes > 1 else 1)
        return 4 * self.width * len(self.used) + items * len(self.remembered)

    @property
    def frame_size(self) -> int:
        """Returns the height and width of prepared and served frames, in pixels."""
        return self.size * self.flow_scale


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How the network is trained. Losses and stages are those of the paper."""

    batch: int = 8
    optimizer: Literal["adam", "muon"] = "adam"
    """Muon trains convolution kernels in far fewer steps. Other weights, and the discriminator, always use Adam."""
    learning_rate: float = 4e-4
    """Learning rate of Adam."""
    muon_learning_rate: float = 0.02
    discriminator_learning_rate: float = 4e-5
    steps: int = 16_000
    """Steps of the adversarial training, whatever the length of the footage: windows are drawn from all of it."""
    pretrain_fraction: float = 0.25
    """Steps of each proxy task, as a fraction of `steps`."""
    encoder_lr_scale: float = 1.0
    """0 freezes the encoders in adversarial training (section 2.1 of the paper); > 0 fine-tunes them (2.3)."""
    noise: float = 0.2
    """Fraction of pixels that the denoising task replaces, half salt half pepper."""
    lambda_motion: float = 0.6
    """lambda_1, weight of L_m."""
    motion_windows: int = 8
    """Windows of a batch on which L_m, the slowest of the losses, is computed; fewer are faster."""
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
    """Largest number of steps between checkpoints; each point of the learning curve is one too."""

    def __post_init__(self) -> None:
        check(self.batch >= 2, "train.batch", self.batch, "at least 2 (batch normalisation)")
        for key in ("steps", "motion_windows", "checkpoint_steps"):
            check(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "at least 1")
        for key in ("learning_rate", "muon_learning_rate", "discriminator_learning_rate"):
            check(getattr(self, key) > 0, f"train.{key}", getattr(self, key), "positive")
        for key in ("lambda_motion", "lambda_compact", "lambda_adversarial", "compact_margin", "encoder_lr_scale"):
            check(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 or more")
        check(self.pretrain_fraction > 0, "train.pretrain_fraction", self.pretrain_fraction, "positive")
        check(0 <= self.noise < 1, "train.noise", self.noise, "in [0, 1)")

    @property
    def pretrain_steps(self) -> int:
        """Returns the steps of each proxy task, at least 1."""
        return max(round(self.steps * self.pretrain_fraction), 1)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ScoreConfig:
    """What counts as an anomaly of a camera, and how scores become events. Changing these needs no new training."""

    direction: bool = True
    """Which way something goes is evidence. False where people may go any way, though few of them crossed the view
    in the training footage."""
    events_per_day: float = 2.0
    """Alert budget: an event is what normal footage shows so often in 24 hours, or more rarely."""
    min_seconds: float = 0.4
    """Shorter events are dropped."""
    merge_seconds: float = 1.0
    """Events closer than this are one."""

    def __post_init__(self) -> None:
        check(self.events_per_day > 0, "score.events_per_day", self.events_per_day, "positive")
        for key in ("min_seconds", "merge_seconds"):
            check(getattr(self, key) >= 0, f"score.{key}", getattr(self, key), "0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    segment_frames: int = 64
    """Frames in a request of the batch job; consecutive requests overlap by the 4 frames of a clip."""

    def __post_init__(self) -> None:
        check(self.segment_frames >= 5, "serve.segment_frames", self.segment_frames, "at least 5")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A whole configuration: what a run depends on besides its footage."""

    name: str
    """Name of the dataset and of the deployment: lower-case letters, digits and dashes."""
    seed: int = 1
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    walkway: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    """The table of the synthetic scenes as it was written; stmae.datasets.synthetic.config checks and completes it."""
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    score: ScoreConfig = dataclasses.field(default_factory=ScoreConfig)
    serve: ServeConfig = dataclasses.field(default_factory=ServeConfig)

    def __post_init__(self) -> None:
        valid = re.fullmatch(NAME, self.name) is not None and self.name not in ("flow", "psnr")
        check(valid, "name", self.name, "lower-case letters, digits and dashes, and neither flow nor psnr")
        check(self.seed >= 0, "seed", self.seed, "0 or more")

    def to_json(self) -> str:
        """Returns canonical JSON, the form in which a configuration travels between pipeline steps."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))


def names() -> list[str]:
    """Returns the names of the configurations that ship with the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def load(name_or_path: str, overrides: Iterable[str] = ()) -> Config:
    """Reads a shipped configuration (`ped2`) or a TOML file, then applies `section.key=value` overrides.

    Raises ConfigError for an unknown name, key or value, with the nearest valid one.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIGS / f"{name_or_path}.toml"
        if name_or_path not in names():
            shipped = f"{nearest(name_or_path, names())}; shipped: {', '.join(names())}"
            raise ConfigError(f"no configuration {name_or_path!r}{shipped}; or a .toml path")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for override in overrides:
        _apply(table, override)
    return build(Config, table, str(path))


def from_json(text: str) -> Config:
    """Reads what `Config.to_json` wrote."""
    return build(Config, json.loads(text), "config JSON")


def digest(config: object) -> str:
    """Returns the SHA-256 (hex) of a configuration dataclass, whole or one section."""
    table = dataclasses.asdict(config)  # type: ignore[call-overload]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def build(cls: type[T], table: Mapping[str, Any], source: str, prefix: str = "") -> T:
    """Makes a configuration dataclass of a plain table; a ConfigError names `source` and `prefix` + the key."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            hint = nearest(key, hints)
            raise ConfigError(f"{source}: unknown key {prefix + key!r}{hint}; valid: {', '.join(sorted(hints))}")
        values[key] = _coerce(hints[key], value, prefix + key, source)
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    except TypeError:
        raise ConfigError(f"{source}: key {prefix + 'name'!r} is missing") from None


def check(ok: bool, key: str, value: object, must: str) -> None:
    """Raises ConfigError that says what the value of a key must be, unless it is `ok`."""
    if not ok:
        raise ConfigError(f"{key} = {value!r}: must be {must}")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns the part of an error message that suggests the valid name most like `name`; empty where none is."""
    match = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.4)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _apply(table: dict[str, Any], override: str) -> None:
    """Writes a `section.key=value` override into a table that was read from TOML."""
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


def _coerce(hint: Any, value: Any, key: str, source: str) -> Any:
    """Returns a value that has the type `hint`; raises ConfigError where it cannot."""
    if dataclasses.is_dataclass(hint) or typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{source}: {key!r} is a section, got {value!r}")
        return value if typing.get_origin(hint) is dict else build(hint, value, source, key + ".")
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            suggestion = nearest(str(value), map(str, choices))
            raise ConfigError(f"{source}: {key} = {value!r}{suggestion}; one of {', '.join(map(str, choices))}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{source}: {key} = {value!r}: must be {hint.__name__}, got {type(value).__name__}")
    return value
