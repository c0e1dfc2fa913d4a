"""The gate between an export and the models store, with the real Triton."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from made_scores import fit, walkers
from onnx import numpy_helper
from tiny import TINY, export_tiny

from stmae import config as configs
from stmae.serving import models, tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.models.installation import sync
from stmae.serving.parity import ParityError
from stmae.serving.publish import PublishError, publish, publish_all
from stmae.serving.repository import write_repository
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage import open_store
from stmae.storage.document import fitted_file, to_json


@pytest.fixture
def export_dir(tiny_export, tmp_path):
    return Path(shutil.copytree(tiny_export.folder, tmp_path / "export"))


@pytest.fixture
def empty(tmp_path):
    """Returns an empty models store."""
    return open_store(str(tmp_path / "models"))


def test_a_published_model_is_served(tiny_export, empty, triton_runtime, film, tmp_path):
    evaluation = {"figures": {"combined_auc_micro_raw": 0.9}, "dataset_digest": "d"}
    version = publish(tiny_export.folder, tiny_export.fitted, empty, triton_runtime, evaluation)

    for differences in version.parity.values():
        assert set(differences) == {output.name for output in tensors.ENSEMBLE.outputs}
    assert "fp32" in version.parity
    assert version.evaluation == evaluation
    provenance = json.loads(empty.get(f"{version.folder}provenance.json"))
    assert (provenance["digest"], provenance["dataset_digest"]) == (version.digest, "d")
    assert models.current(empty, "tiny") is None, "publishing promotes nothing"
    models.promote(empty, "tiny", version.version)
    sync(empty, tmp_path / "repository")
    for name, path in tiny_export.fitted.items():
        assert (tmp_path / "repository" / "tiny" / f"{name}.json").read_text() == path.read_text()
    with (
        EmbeddedTriton(tmp_path / "repository", runtime=triton_runtime) as server,
        Client(server.grpc_url, "tiny") as client,
    ):
        assert client.score_segment(film(5, 64)).psnr.shape == (1,)
        assert client.describe().version == version.version


def test_a_model_is_installed_for_what_computes_it(releases, empty, tmp_path):
    models.promote(empty, "tiny", releases[0].add(empty).version)
    for accelerator, kind in (("cpu", "CPU"), ("openvino", "CPU"), ("cuda", "GPU"), ("tensorrt", "GPU")):
        sync(empty, tmp_path / accelerator, accelerator=accelerator)
        for spec in tensors.STEPS:
            text = (tmp_path / accelerator / spec.served_name("tiny") / "config.pbtxt").read_text()
            assert f"kind: KIND_{kind}\n" in text
            for named in ("openvino", "tensorrt"):
                assert (f'name: "{named}"' in text) == (accelerator == named)


@pytest.mark.parametrize("precisions", [("fp32",), ("fp32", "bf16")])
def test_openvino_computes_in_what_the_model_was_found_exact_in(releases, empty, tmp_path, precisions):
    models.promote(empty, "tiny", releases[0].add(empty, precisions=precisions).version)
    sync(empty, tmp_path)
    for spec in tensors.STEPS:
        text = (tmp_path / spec.served_name("tiny") / "config.pbtxt").read_text()
        assert f'key: "precision" value: "{precisions[-1]}"' in text


def test_a_version_of_an_earlier_stmae_is_refused_before_anything_changes(releases, empty, tmp_path):
    models.promote(empty, "tiny", releases[0].add(empty, precisions=()).version)
    with pytest.raises(models.ModelsError, match=r"tiny/versions/\w+: of an earlier version of stmae; publish"):
        sync(empty, tmp_path)
    assert not list(tmp_path.glob("tiny*"))


def test_segments_of_one_length_have_the_scores_of_any_length(
    triton_server, triton_runtime, tiny_export, film, tmp_path
):
    write_repository(tiny_export.folder, tmp_path, accelerator="tensorrt")
    for text in tmp_path.glob("*/config.pbtxt"):  # there is no GPU here, and T is what matters
        text.write_text(text.read_text().replace("KIND_GPU", "KIND_CPU"))
    with (
        EmbeddedTriton(tmp_path, runtime=triton_runtime) as server,
        Client(server.grpc_url, "tiny") as fixed,
        Client(triton_server.grpc_url, "tiny") as free,
    ):
        assert fixed.describe().fixed_frames == fixed.describe().segment_frames == 16
        for length in (5, 12, 16):
            segment = film(length, 64)
            np.testing.assert_allclose(
                fixed.score_segment(segment).psnr, free.score_segment(segment).psnr, rtol=0, atol=1e-4
            )
        with pytest.raises(ServingError, match="17 frames; a segment has at most 16 here"):
            fixed.score_segment(film(17, 64))


def test_each_scene_of_a_model_is_published_with_its_own_calibration(empty, triton_runtime, tmp_path):
    exports, evaluation = tmp_path / "exports", tmp_path / "evaluation"
    exports.mkdir()
    evaluation.mkdir()
    for seed, scene in enumerate(("gate", "yard")):
        export_tiny(configs.load("walkway", [*TINY, f"name=tiny-{scene}"]), tmp_path / scene)
        (tmp_path / scene / "export").rename(exports / scene)
        for name, fitted in zip(("normality", "calibration"), fit([walkers(50, seed)]), strict=True):
            (evaluation / fitted_file(name, scene)).write_text(to_json(fitted))

    for version in publish_all(exports, evaluation, empty, triton_runtime):
        models.promote(empty, version.deployment, version.version)

    assert models.deployments(empty) == ["tiny-gate", "tiny-yard"]
    for scene in ("gate", "yard"):
        folder = models.current(empty, f"tiny-{scene}").folder
        for name in ("normality", "calibration"):
            assert empty.get(f"{folder}{name}.json") == (evaluation / fitted_file(name, scene)).read_bytes()


def test_a_model_with_other_weights_is_not_published(tiny_export, export_dir, empty, triton_runtime):
    exchange(export_dir, "encode", scaled)

    with pytest.raises(ParityError, match=r"Triton: \w+ differs from torch"):
        publish(export_dir, tiny_export.fitted, empty, triton_runtime)

    assert not empty.folder.exists()


def test_a_model_that_does_not_load_is_not_published(tiny_export, export_dir, empty, triton_runtime):
    exchange(export_dir, "decode", lambda path: path.write_bytes(b"not a model"))

    with pytest.raises(ParityError, match=r"cannot serve"):
        publish(export_dir, tiny_export.fitted, empty, triton_runtime)

    assert not empty.folder.exists()


def test_a_file_that_changed_after_the_export_is_refused(tiny_export, export_dir, empty, triton_runtime):
    scaled(export_dir / "encode.onnx")

    with pytest.raises(PublishError, match=r"encode\.onnx: missing, or changed since it was exported"):
        publish(export_dir, tiny_export.fitted, empty, triton_runtime)


def test_a_broken_calibration_is_refused(export_dir, tiny_export, empty, triton_runtime, tmp_path):
    (tmp_path / "calibration.json").write_text("{}")
    broken = {**tiny_export.fitted, "calibration": tmp_path / "calibration.json"}

    with pytest.raises(PublishError, match=r"calibration\.json: not a calibration"):
        publish(export_dir, broken, empty, triton_runtime)


def exchange(export_dir, name, change):
    """Changes a model and its digest in export.json, as if it had been exported so."""
    path = export_dir / f"{name}.onnx"
    change(path)
    manifest = json.loads((export_dir / "export.json").read_text())
    manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (export_dir / "export.json").write_text(json.dumps(manifest))


def scaled(path):
    model = onnx.load(path)
    for weight in model.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(1.2 * numpy_helper.to_array(weight), weight.name))
    onnx.save(model, path)
