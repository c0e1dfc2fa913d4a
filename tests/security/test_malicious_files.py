"""A file that would run code, in the place of every file that is loaded: it is refused, and nothing runs."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf
from test_evaluation_report import made_up

from stmae import config as configs
from stmae.batch.status import Status, read_statuses
from stmae.batch.survey import read_json
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.labels import frame_array, load_mat, mask_array
from stmae.datasets.manifest import Clip, Manifest
from stmae.model.build import build_stmae, load_model
from stmae.model.checkpoint import load_modules, load_training
from stmae.report.evaluation import evaluation_report
from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving import models
from stmae.serving.parity import check, load_golden
from stmae.serving.repository import check_export
from stmae.storage import open_store
from stmae.video.reader import FrameSource
from stmae.video.sandbox import Sandbox


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)


@dataclasses.dataclass(frozen=True)
class Attack:
    """Writes malicious files, and knows whether one of them ran."""

    made: Path

    def pickled(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(Payload(self.made)))
        return path

    def zipped(self, path: Path) -> Path:
        """Writes what torch.save writes: a zip archive with a pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(Payload(self.made), path)
        return path

    def array(self, path: Path) -> Path:
        """Writes an array of objects as .npy or .npz."""
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = np.array([Payload(self.made)], dtype=object)
        if path.suffix == ".npz":
            np.savez(path, frames=objects, masks=objects, **{"good/psnr": objects})
        else:
            np.save(path, objects, allow_pickle=True)
        return path


@pytest.fixture
def attack(tmp_path: Path) -> Attack:
    return Attack(tmp_path / "code-was-run")


def test_the_payload_runs_where_it_is_unpickled(attack: Attack, tmp_path: Path) -> None:
    for write, load in (
        (attack.pickled, lambda path: pickle.loads(path.read_bytes())),
        (attack.zipped, lambda path: torch.load(path, weights_only=False)),
        (attack.array, lambda path: np.load(path, allow_pickle=True)),
    ):
        load(write(tmp_path / "file.npy"))
        attack.made.rmdir()


def refused(attack: Attack, path: Path, load: Callable[[], Any], *, names_file: bool = True) -> None:
    """Asserts that a loader refuses a file, says which, and runs nothing of it."""
    with pytest.raises((ValueError, OSError, RuntimeError, InvalidProtobuf)) as caught:
        load()
    assert not attack.made.exists()
    if names_file:
        assert path.name in str(caught.value)


@pytest.mark.parametrize("kind", ["pickled", "zipped", "array"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth", "model.npy"])
def test_a_checkpoint_is_safetensors_or_is_refused(attack: Attack, tmp_path: Path, kind: str, name: str) -> None:
    path = getattr(attack, kind)(tmp_path / name)
    modules = {"stmae": torch.nn.Linear(1, 1)}
    refused(attack, path, lambda: load_modules(path, modules))
    refused(attack, path, lambda: load_training(path, modules, {}, "digest"))


@pytest.mark.parametrize("kind", ["pickled", "zipped"])
def test_a_trained_model_is_safetensors_or_is_refused(
    attack: Attack, tmp_path: Path, tiny_config: configs.Config, kind: str
) -> None:
    path = getattr(attack, kind)(tmp_path / "model.safetensors")
    refused(attack, path, lambda: load_model(tiny_config, tmp_path, torch.device("cpu")))
    assert build_stmae(tiny_config)


@pytest.mark.parametrize("kind", ["array", "pickled"])
def test_arrays_of_objects_are_refused(attack: Attack, tmp_path: Path, kind: str) -> None:
    write = getattr(attack, kind)
    labels, masks, archive = (write(tmp_path / name) for name in ("labels.npy", "masks.npy", "masks.npz"))
    refused(attack, labels, lambda: frame_array(labels, 1))
    refused(attack, masks, lambda: list(mask_array(masks)))
    refused(attack, archive, lambda: list(mask_array(archive)))
    matlab = attack.pickled(tmp_path / "truth.mat")
    refused(attack, matlab, lambda: load_mat(matlab, "gt"))


@pytest.mark.parametrize("kind", ["array", "pickled"])
def test_a_prepared_dataset_of_objects_is_refused(attack: Attack, tmp_path: Path, kind: str) -> None:
    clip = Clip("a", "test", "testing/a", 5, 8, 8, "0", "", True, True)
    manifest = Manifest.of(tmp_path, "street", 8, 10.0, (clip,))
    for name, load in (("frames", manifest.frames), ("labels", manifest.labels), ("masks", manifest.masks)):
        path = getattr(attack, kind)(tmp_path / name / "test" / "a.npy")
        refused(attack, path, lambda load=load: load(clip))
    cache = FlowCache.of(tmp_path / "flow", manifest)
    path = getattr(attack, kind)(cache.path(clip))
    refused(attack, path, lambda: cache.flows(clip), names_file=False)


def test_an_evaluation_of_objects_is_refused(attack: Attack, tmp_path: Path) -> None:
    evaluation, dataset = made_up(tmp_path)
    scores = attack.array(evaluation / "scores.npz")
    refused(attack, scores, lambda: evaluation_report(evaluation, dataset, tmp_path / "page.html"), names_file=False)


@pytest.mark.parametrize("kind", ["array", "pickled"])
def test_an_export_with_other_files_is_refused(attack: Attack, tmp_path: Path, tiny_export: Any, kind: str) -> None:
    export = Path(shutil.copytree(tiny_export.folder, tmp_path / "export"))
    golden = getattr(attack, kind)(export / "golden.npz")
    refused(attack, golden, lambda: load_golden(export))
    shutil.copyfile(tiny_export.folder / "golden.npz", golden)
    graph = attack.pickled(export / "encode.onnx")
    refused(attack, graph, lambda: check(export))
    refused(attack, graph, lambda: check_export(export))


def test_documents_are_json_or_are_refused(attack: Attack, tmp_path: Path) -> None:
    for kind in (NormalityModel, Calibration):
        path = attack.pickled(tmp_path / f"{kind.__name__}.json")
        refused(attack, path, lambda kind=kind, path=path: read_json(kind, str(path)))
    settings = attack.pickled(tmp_path / "settings.toml")
    refused(attack, settings, lambda: configs.load(str(settings)))
    store = open_store(str(tmp_path))
    status = Status(
        model="a", archive="b", plan_digest="c", started="2026-03-01T00:00:00+00:00", updated="", hours=1, bytes=1
    )
    path = attack.pickled(tmp_path / status.path)
    refused(attack, path, lambda: read_statuses(store, 1))
    manifest = attack.pickled(tmp_path / "tiny/versions/0123456789ab/manifest.json")
    for name in ("evaluation.json", "parity.json"):
        manifest.with_name(name).write_text(json.dumps({}))
    refused(attack, manifest, lambda: models.load(store, "tiny", "0123456789ab"), names_file=False)


@pytest.mark.parametrize("kind", ["pickled", "zipped", "array"])
def test_footage_that_is_none_has_a_reason(attack: Attack, tmp_path: Path, kind: str) -> None:
    path = getattr(attack, kind)(tmp_path / "video.npz").rename(tmp_path / "video.mp4")
    image = attack.pickled(tmp_path / "frames" / "0001.png")
    with Sandbox() as sandbox:
        for source in (FrameSource(path), sandbox.read(path), FrameSource(image.parent)):
            assert list(source) == []
            assert source.health.status == "undecodable"
            assert source.health.reason
    assert not attack.made.exists()
