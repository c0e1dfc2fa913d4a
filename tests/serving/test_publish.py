"""The gate between an export and a served repository, with the real Triton."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import onnx
import pytest
from made_scores import fit, walkers
from onnx import numpy_helper
from tiny import TINY, export_tiny

from stmae import config as configs
from stmae.serving import tensors
from stmae.serving.client import Client
from stmae.serving.parity import ParityError
from stmae.serving.publish import PublishError, publish, publish_all
from stmae.serving.repository import find_deployments
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage.document import fitted_file, to_json


@pytest.fixture
def export_dir(tiny_export, tmp_path):
    return Path(shutil.copytree(tiny_export.folder, tmp_path / "export"))


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "workspace" / "model_repository"


@pytest.fixture(scope="module")
def published_once(tiny_export, triton_runtime, tmp_path_factory):
    repository = tmp_path_factory.mktemp("published") / "model_repository"
    return repository, publish(tiny_export.folder, tiny_export.fitted, repository, triton_runtime)


@pytest.fixture
def published(published_once, repository):
    """Returns a repository that already serves the model."""
    return Path(shutil.copytree(published_once[0], repository))


def test_a_published_model_is_served(tiny_export, published_once, triton_runtime, film):
    repository, differences = published_once

    assert set(differences) == {output.name for output in tensors.ENSEMBLE.outputs}
    for name, path in tiny_export.fitted.items():
        assert (repository / "tiny" / f"{name}.json").read_text() == path.read_text()
    assert [path.name for path in repository.parent.iterdir()] == ["model_repository"]
    with (
        EmbeddedTriton(repository, runtime=triton_runtime) as server,
        Client(server.grpc_url, "tiny") as client,
    ):
        assert client.score_segment(film(5, 64)).psnr.shape == (1,)


def test_a_model_is_published_for_the_cpu_unless_for_the_gpu(tiny_export, published_once, repository, triton_runtime):
    publish(tiny_export.folder, tiny_export.fitted, repository, triton_runtime, "gpu")

    for folder, kind in ((published_once[0], "KIND_CPU"), (repository, "KIND_GPU")):
        for spec in tensors.STEPS:
            assert f"kind: {kind}\n" in (folder / spec.served_name("tiny") / "config.pbtxt").read_text()
    assert (repository / "tiny" / "1").is_dir()


def test_an_unknown_instance_kind_is_refused(tiny_export, repository, triton_runtime):
    with pytest.raises(PublishError, match="instance_kind 'tpu': must be one of cpu, gpu"):
        publish(tiny_export.folder, tiny_export.fitted, repository, triton_runtime, "tpu")

    assert not repository.exists()


def test_each_scene_of_a_model_is_published_with_its_own_calibration(repository, triton_runtime, tmp_path):
    exports, evaluation = tmp_path / "exports", tmp_path / "evaluation"
    exports.mkdir()
    evaluation.mkdir()
    for seed, scene in enumerate(("gate", "yard")):
        export_tiny(configs.load("walkway", [*TINY, f"name=tiny-{scene}"]), tmp_path / scene)
        (tmp_path / scene / "export").rename(exports / scene)
        for name, fitted in zip(("normality", "calibration"), fit([walkers(50, seed)]), strict=True):
            (evaluation / fitted_file(name, scene)).write_text(to_json(fitted))

    publish_all(exports, evaluation, repository, triton_runtime)

    assert find_deployments(repository) == ["tiny-gate", "tiny-yard"]
    for scene in ("gate", "yard"):
        for name in ("normality", "calibration"):
            published = (repository / f"tiny-{scene}" / f"{name}.json").read_text()
            assert published == (evaluation / fitted_file(name, scene)).read_text()


def test_a_model_with_other_weights_leaves_the_repository_untouched(tiny_export, export_dir, published, triton_runtime):
    before = snapshot(published)
    exchange(export_dir, "encode", scaled)

    with pytest.raises(ParityError, match=r"Triton: \w+ differs from torch"):
        publish(export_dir, tiny_export.fitted, published, triton_runtime)

    assert snapshot(published) == before


def test_a_model_that_does_not_load_leaves_the_repository_untouched(
    tiny_export, export_dir, repository, triton_runtime
):
    exchange(export_dir, "decode", lambda path: path.write_bytes(b"not a model"))

    with pytest.raises(ParityError, match=r"cannot serve"):
        publish(export_dir, tiny_export.fitted, repository, triton_runtime)

    assert snapshot(repository) == {}


def test_a_file_that_changed_after_the_export_is_refused(tiny_export, export_dir, repository, triton_runtime):
    scaled(export_dir / "encode.onnx")

    with pytest.raises(PublishError, match=r"encode\.onnx: missing, or changed since it was exported"):
        publish(export_dir, tiny_export.fitted, repository, triton_runtime)


def test_a_broken_calibration_is_refused(export_dir, tiny_export, repository, triton_runtime, tmp_path):
    (tmp_path / "calibration.json").write_text("{}")
    broken = {**tiny_export.fitted, "calibration": tmp_path / "calibration.json"}

    with pytest.raises(PublishError, match=r"calibration\.json: not a calibration"):
        publish(export_dir, broken, repository, triton_runtime)


def test_a_shared_model_that_others_use_is_not_exchanged(tiny_export, export_dir, published, triton_runtime):
    (published / "tiny").rename(published / "other")
    exchange(export_dir, "flow", lambda path: path.write_bytes(path.read_bytes() + b"\n"))
    before = snapshot(published)

    with pytest.raises(PublishError, match=r"differs from the 'flow' of this export, and other use it too"):
        publish(export_dir, tiny_export.fitted, published, triton_runtime)

    assert snapshot(published) == before


def test_an_installation_that_fails_halfway_is_taken_back(
    tiny_export, export_dir, published, triton_runtime, monkeypatch
):
    before = snapshot(published)
    replace = Path.replace

    def fail_at_decode(source, target):
        if source == source.parent.parent / "staged" / "tiny_decode":
            raise OSError(28, "No space left on device")
        return replace(source, target)

    exchange(export_dir, "psnr", relabelled)
    monkeypatch.setattr(Path, "replace", fail_at_decode)
    with pytest.raises(OSError, match="No space left"):
        publish(export_dir, tiny_export.fitted, published, triton_runtime)

    assert snapshot(published) == before


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


def relabelled(path):
    model = onnx.load(path)
    model.doc_string = "the same model in other bytes"
    onnx.save(model, path)


def snapshot(repository):
    return {str(path.relative_to(repository)): path.read_bytes() for path in repository.rglob("*") if path.is_file()}
