"""Studies: variants of a configuration that are trained and evaluated on one prepared dataset.

Standard library and the configuration only.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from stmae.config import Config, ConfigError, ModelConfig, TrainConfig

Columns = dict[str, bool | int | str]
"""What sets a variant apart, as the head of a table column -> its cell."""

Part = Literal["both", "appearance", "motion"]

STREAMS: dict[str, tuple[Part, Part | Literal["none"]]] = {
    "appearance": ("appearance", "appearance"),
    "motion": ("motion", "motion"),
    "no-memory": ("both", "none"),
    "full": ("both", "both"),
}
"""Name -> streams, memories of the models 1 to 4 of the paper's Table 2."""
LOSSES: dict[str, tuple[str, ...]] = {
    "no-motion-loss": ("L_m",),
    "no-compactness": ("L_c",),
    "no-adversary": ("L_adv",),
    "no-motion-loss-no-compactness": ("L_m", "L_c"),
}
"""Name -> losses that the models 5 to 8 do without. The paper's text does not say which these are."""
WEIGHTS = {"L_m": "lambda_motion", "L_c": "lambda_compact", "L_adv": "lambda_adversarial"}
"""Loss -> its weight in `train`."""
ITEMS = (8, 16, 32, 64)
"""N of the sensitivity study."""
TOP_K = (2, 4, 8, 16, 0)
"""k of the sensitivity study."""
NO_TOP_K = "no top-k"
"""Stands for k where all queries write to an item."""
VARIED = {
    "model": ("streams", "memories", "memory_items", "top_k", "scenes"),
    "train": (
        *("encoder_lr_scale", "steps", "pretrain_fraction"),
        *("lambda_motion", "lambda_compact", "lambda_adversarial"),
    ),
}
"""Section -> its values in which the variants of a study differ: no dataset, flow or pretraining depends on them."""


class _Model(NamedTuple):
    name: str
    columns: Columns
    config: Config


def _seeds(config: Config) -> Iterator[_Model]:
    yield _Model(config.name, {}, config)


def _ablation(config: Config) -> Iterator[_Model]:
    for name, (streams, memories) in STREAMS.items():
        model = dataclasses.replace(config.model, streams=streams, memories=memories)
        yield _Model(name, _parts(model, ()), dataclasses.replace(config, model=model))
    for name, left_out in LOSSES.items():
        yield _Model(name, _parts(config.model, left_out), _without(config, left_out))


def _parts(model: ModelConfig, left_out: tuple[str, ...]) -> Columns:
    """Returns which streams, memories and losses a model has."""
    return {
        "appearance stream": "appearance" in model.used,
        "motion stream": "motion" in model.used,
        "spatial memory": "appearance" in model.remembered,
        "temporal memory": "motion" in model.remembered,
        "motion loss": "L_m" not in left_out,
        "compactness loss": "L_c" not in left_out,
        "adversarial loss": "L_adv" not in left_out,
    }


def _without(config: Config, left_out: tuple[str, ...]) -> Config:
    """Returns the configuration with losses of weight 0."""
    weights: dict[str, Any] = {WEIGHTS[loss]: 0.0 for loss in left_out}
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **weights))


def _sensitivity(config: Config) -> Iterator[_Model]:
    for items in ITEMS:
        for top_k in TOP_K:
            model = dataclasses.replace(config.model, memory_items=items, top_k=top_k)
            name = f"n{items}-{f'k{top_k}' if top_k else 'all'}"
            yield _Model(name, {"N": items, "k": top_k or NO_TOP_K}, dataclasses.replace(config, model=model))


def _encoders(config: Config) -> Iterator[_Model]:
    for name, scale in (("frozen", 0.0), ("tuned", 1.0)):
        train = dataclasses.replace(config.train, encoder_lr_scale=scale)
        yield _Model(name, {"encoders": f"{name}, learning rate x {scale:g}"}, dataclasses.replace(config, train=train))


def _effects(config: Config) -> Iterator[_Model]:
    yield _Model("full", {"left out": "nothing"}, config)
    for name, left_out in LOSSES.items():
        if len(left_out) == 1:
            yield _Model(name, {"left out": left_out[0]}, _without(config, left_out))
    quarter = dataclasses.replace(config, train=_quarter(config.train))
    yield _Model("quarter", {"left out": "three quarters of the steps"}, quarter)


def _quarter(train: TrainConfig) -> TrainConfig:
    """Returns settings with a quarter of the steps of adversarial training, and as many of pretraining as before."""
    steps = max(train.steps // 4, 1)
    return dataclasses.replace(train, steps=steps, pretrain_fraction=train.pretrain_steps / steps)


def _scenes(config: Config) -> Iterator[_Model]:
    if config.model.scenes == 1:
        raise ConfigError(f"model.scenes = 1 in {config.name!r}: a study of scenes needs a dataset with several")
    for name, scenes in (("single", 1), ("pools", config.model.scenes)):
        model = dataclasses.replace(config.model, scenes=scenes)
        memory = "one for all scenes" if scenes == 1 else "one a scene, and one that they share"
        yield _Model(name, {"memory pools": memory}, dataclasses.replace(config, model=model))


STUDIES: dict[str, Callable[[Config], Iterator[_Model]]] = {
    "seeds": _seeds,
    "ablation": _ablation,
    "sensitivity": _sensitivity,
    "encoders": _encoders,
    "effects": _effects,
    "scenes": _scenes,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One model of a study: a row of its table, with one seed."""

    name: str
    """Lower-case words joined by dashes; stands in file names."""
    columns: Columns
    seed: int
    config: Config


def parse_seeds(text: str) -> list[int]:
    """Returns the seeds of "1 2 3" or "1,2,3". Raises ConfigError for anything but whole numbers."""
    parts = text.replace(",", " ").split()
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"seeds {text!r}: must be whole numbers, each once, like 1,2,3")
    return [int(part) for part in parts]


def variants(config: Config, study: str, seeds: Sequence[int]) -> list[Variant]:
    """Returns the variants of a study in the order of its table, all of the first seed first.

    They differ from `config` in nothing that dataset, flow and pretraining depend on: the first two are shared by all
    of them, pretrained encoders by those of a seed.
    Raises ConfigError for an unknown study, for seeds that are none, and for variants that do not differ.
    """
    if study not in STUDIES:
        raise ConfigError(f"no study {study!r}; one of {', '.join(STUDIES)}")
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds {', '.join(map(str, seeds)) or 'none'}: must be whole numbers, each once, like 1,2,3")
    made = [
        Variant(
            name=model.name,
            columns=model.columns,
            seed=seed,
            config=dataclasses.replace(model.config, seed=seed),
        )
        for seed in seeds
        for model in STUDIES[study](config)
    ]
    for one, other in itertools.combinations(made[: len(made) // len(seeds)], 2):
        if one.config == other.config:
            raise ConfigError(f"study {study!r}: {one.name} and {other.name} are the same model with these settings")
    assert {_shared(variant.config) for variant in made} == {_shared(config)}
    return made


def _shared(config: Config) -> tuple[Config, int]:
    """Returns what dataset, flow and pretraining depend on, but for the seed."""
    alike = dataclasses.replace(config, seed=0, **{name: _alike(config, name) for name in VARIED})
    return alike, config.train.pretrain_steps


def _alike(config: Config, section: str) -> Any:
    """Returns a section with the default where variants may differ."""
    here = getattr(config, section)
    default = type(here)()
    return dataclasses.replace(here, **{key: getattr(default, key) for key in VARIED[section]})


def to_json(config: Config, made: Sequence[Variant]) -> str:
    """Returns the form in which a study travels to its pipeline: a list of seeds, each with its variants.

    An element has the `seed`, the `config` that its encoders are pretrained with, and `variants` with `name`,
    `columns` and `config`. The last two are strings, in which a pipeline cannot turn whole numbers into others, nor
    forget the order of columns.
    """
    return json.dumps(
        [
            {
                "seed": seed,
                "config": dataclasses.replace(config, seed=seed).to_json(),
                "variants": [
                    {"name": one.name, "columns": json.dumps(one.columns), "config": one.config.to_json()}
                    for one in made
                    if one.seed == seed
                ],
            }
            for seed in dict.fromkeys(one.seed for one in made)
        ]
    )
