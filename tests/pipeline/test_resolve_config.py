"""The first step of each pipeline: parameters in, a checked configuration out, or an error with the valid choices."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components.expand_study import expand_study
from components.resolve_config import resolve_config
from stmae import config
from stmae.config import ConfigError
from stmae.datasets.download import listing_digest
from stmae.datasets.readers import resolve

DEFAULTS: dict[str, Any] = {
    "dataset": "walkway",
    "config_toml": "",
    "overrides": "",
    "seed": -1,
    "steps": 0,
    "study": "",
    "seeds": "",
    "data_root": "/nowhere",
    "data_version": "",
}


def resolved(**given: Any) -> dict[str, Any]:
    text, _ = resolve_config.python_func(**{**DEFAULTS, **given})
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_defaults_are_the_shipped_configuration() -> None:
    assert resolved() == json.loads(resolve(config.load("walkway")).to_json())


def test_typed_parameters_win_over_overrides_and_these_over_the_file() -> None:
    made = resolved(overrides="seed=3 train.steps=7 model.size=64", seed=5, steps=9)
    assert (made["seed"], made["model"]["size"]) == (5, 64)
    assert made["train"]["steps"] == 9


def test_overrides_are_quoted_as_in_a_shell() -> None:
    assert resolved(overrides="'data.train_glob=my clips/*'")["data"]["train_glob"] == "my clips/*"


def test_the_text_of_a_file_of_one_s_own_is_used_instead_of_the_name() -> None:
    made = resolved(config_toml='name = "gate"\nseed = 4\n[data]\nreader = "folder"\n', overrides="model.width=16")
    assert (made["name"], made["seed"], made["model"]["width"]) == ("gate", 4, 16)


@pytest.mark.parametrize(
    ("given", "choices"),
    [
        ({"dataset": "pad2"}, ("did you mean 'ped2'", "shanghaitech", "walkway")),
        ({"overrides": "model.sise=64"}, ("did you mean 'size'", "width")),
        ({"overrides": "model.streams=all"}, ("both, appearance, motion",)),
        ({"overrides": "data.reader=ped3"}, ("did you mean 'ped2'", "folder")),
        ({"overrides": "train.batch=0"}, ("train.batch = 0: must be at least 2",)),
        ({"study": "ablaton", "seeds": "1"}, ("seeds, ablation, sensitivity",)),
        ({"study": "seeds", "seeds": "1 two"}, ("whole numbers, each once, like 1,2,3",)),
        ({"config_toml": 'name = "gate"\nsed = 4\n'}, ("did you mean 'seed'",)),
    ],
)
def test_a_parameter_outside_its_choices_is_refused_with_them(given: dict[str, Any], choices: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as raised:
        resolved(**given)
    for choice in choices:
        assert choice in str(raised.value)


def test_the_version_of_the_footage_is_the_given_one_or_that_of_its_listing(tmp_path: Path) -> None:
    (tmp_path / "01.mp4").write_bytes(b"1234")
    given = {**DEFAULTS, "data_root": str(tmp_path)}
    assert resolve_config.python_func(**given)[1] == listing_digest(str(tmp_path)) != ""
    assert resolve_config.python_func(**{**given, "data_version": "v7"})[1] == "v7"


def test_the_listing_changes_with_names_sizes_and_times_of_the_files(tmp_path: Path) -> None:
    assert listing_digest(str(tmp_path / "absent")) == ""
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "01.mp4"
    found = []
    for content, time in ((b"1234", 1), (b"12345", 1), (b"12345", 2)):
        file.write_bytes(content)
        os.utime(file, (time, time))
        found.append(listing_digest(str(tmp_path)))
    assert listing_digest(str(tmp_path)) == found[-1]
    file.rename(file.with_name("02.mp4"))
    assert len({*found, listing_digest(str(tmp_path))}) == 4


def test_a_study_is_expanded_into_its_seeds_and_their_variants() -> None:
    text = resolve(config.load("walkway", ["seed=9"])).to_json()
    listed = expand_study.python_func(config=text, study="ablation", seeds="1 2", dataset_digest="aa")
    assert [(seed["seed"], json.loads(seed["config"])["seed"], seed["dataset_digest"]) for seed in listed] == [
        (1, 1, "aa"),
        (2, 2, "aa"),
    ]
    for seed in listed:
        configs = [json.loads(variant["config"]) for variant in seed["variants"]]
        assert len(configs) == 8
        assert {one["seed"] for one in configs} == {seed["seed"]}
