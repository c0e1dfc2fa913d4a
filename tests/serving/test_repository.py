"""The generated model repository."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from stmae import config as configs
from stmae.scoring.raw import RawScores
from stmae.serving import repository as repositories
from stmae.serving import tensors
from stmae.serving.pbtxt import Release, texts

COMMITTED = Path(__file__).resolve().parents[2] / "model_repository"
DEPLOYMENTS = ("walkway", "ped2")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_committed_texts_are_what_the_generator_writes(name):
    for model, text in texts(Release.of(configs.load(name))).items():
        assert (COMMITTED / model / "config.pbtxt").read_text() == text, (
            f"run `python -m stmae.serving.repository model_repository {' '.join(DEPLOYMENTS)}`"
        )


def test_no_other_model_is_committed():
    models = {model for name in DEPLOYMENTS for model in texts(Release.of(configs.load(name)))}

    assert {path.parent.name for path in COMMITTED.glob("*/config.pbtxt")} == models


def test_shared_models_are_the_same_in_every_deployment():
    walkway, ped2 = (texts(Release.of(configs.load(name))) for name in DEPLOYMENTS)

    assert walkway["flow"] == ped2["flow"]
    assert walkway["psnr"] == ped2["psnr"]


def test_an_ensemble_has_its_outputs_and_four_steps_and_nothing_else():
    text = texts(Release.of(configs.load("ped2")))["ped2"]

    assert re.findall(r'^output \{\n  name: "(\w+)"', text, re.M) == [
        output.name for output in tensors.ENSEMBLE.outputs
    ]
    assert re.findall(r'model_name: "(\w+)"', text) == ["flow", "ped2_encode", "ped2_decode", "psnr"]


def test_outputs_of_an_ensemble_are_the_raw_scores_in_their_order():
    assert [output.name.lower() for output in tensors.ENSEMBLE.outputs] == [
        field.name for field in dataclasses.fields(RawScores)
    ]


def test_strides_of_the_table_are_the_model_s():
    pytest.importorskip("torch")
    from stmae.model import encoder, flow

    assert tensors.FLOW_STRIDE == flow.FLOW_STRIDE
    assert tensors.FEATURE_STRIDE == encoder.FEATURE_STRIDE


def test_two_deployments_of_different_sizes_share_one_server(tiny_export, tmp_path):
    large = configs.load("ped2", ["name=large"])

    repositories.write_repository(tiny_export.folder, tmp_path)
    repositories.write_configs(tmp_path, Release.of(large))

    assert {path.name for path in tmp_path.iterdir()} == {
        "flow", "psnr", "tiny", "tiny_encode", "tiny_decode", "large", "large_encode", "large_decode",
    }  # fmt: skip
    assert "dims: [-1, -1, -1, 3]" in (tmp_path / "flow" / "config.pbtxt").read_text()
    assert "dims: [-1, 256, 256, 3]" in (tmp_path / "large" / "config.pbtxt").read_text()
    assert (tmp_path / "large" / "1").is_dir()


def test_an_unfinished_export_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a finished export"):
        repositories.write_repository(tmp_path, tmp_path / "repository")
