"""Configuration: shipped files load, mistakes are refused with the nearest valid name, digests follow the content."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stmae import config
from stmae.config import ConfigError


@pytest.mark.parametrize("name", config.names())
def test_each_shipped_configuration_loads_under_its_own_name(name: str) -> None:
    assert config.load(name).name == name


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.sise=64", "did you mean 'size'"),
        ("modle.size=64", "did you mean 'model'"),
        ("model.streams=motions", "did you mean 'motion'"),
        ("walkway=3", "'walkway' is a section"),
        ("model.size=100", "a multiple of 32"),
        ("model.size=big", "must be int"),
        ("train.learning_rate=-1", "positive"),
        ("train.steps=0", "at least 1"),
        ("train.pretrain_fraction=0", "positive"),
        ("train.lambda_adversarial=-0.1", "0 or more"),
        ("train.discriminator_learning_rate=0", "positive"),
        ("score.merge_seconds=-1", "0 or more"),
        ("seed=-1", "0 or more"),
        ("name=Ped 2", "lower-case"),
        ("seed", "section.key=value"),
    ],
)
def test_a_wrong_override_is_refused_and_the_message_says_what_is_right(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        config.load("ped2", [override])


def test_an_unknown_configuration_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'shanghaitech'"):
        config.load("shanghai-tech")


def test_an_own_file_is_read_and_its_mistakes_name_it(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text('name = "gate"\n[data]\ntrain_glob = "march/*.mp4"\n')
    assert config.load(str(file), ["model.width=16"]).model.width == 16
    file.write_text("name = 'gate'\n[data]\ntrian_glob = 'x'\n")
    with pytest.raises(ConfigError, match=r"gate\.toml.*data\.trian_glob.*train_glob"):
        config.load(str(file))
    file.write_text("name = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(str(file))
    with pytest.raises(ConfigError, match="no such configuration file"):
        config.load(str(tmp_path / "none.toml"))


def test_a_configuration_survives_json() -> None:
    loaded = config.load("ped2-cpu", ["train.learning_rate=1", "score.min_seconds=2", "walkway.seed=11"])
    assert config.from_json(loaded.to_json()) == loaded


def test_the_digest_changes_with_a_value_and_only_with_it() -> None:
    a, b = config.load("ped2"), config.load("ped2", ["seed=2"])
    assert config.digest(a) == config.digest(config.load("ped2"))
    assert config.digest(a) != config.digest(b)
    assert config.digest(a.model) == config.digest(b.model)


def test_an_override_of_walkway_is_kept_as_plain_data() -> None:
    assert config.load("walkway", ["walkway.seed=11"]).walkway == {"train_clips": 10, "seed": 11}


def test_equal_configurations_are_one_member_of_a_set() -> None:
    same = {config.load("walkway", ["walkway.seed=11"]) for _ in range(2)}
    assert len(same | {config.load("walkway")}) == 2


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.load("ped2").seed = 3  # type: ignore[misc]
