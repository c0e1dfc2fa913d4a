"""The compiled pipeline: what Kubeflow is asked for. Settings are read from the YAML, since kfp releases have
dropped some of them silently."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STEPS = {
    "prepare-dataset",
    "extract-flow",
    "pretrain-appearance",
    "pretrain-motion",
    "train-adversarial",
    "evaluate",
    "export",
    "publish",
}
GPU_STEPS = {"extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}


def compile_to(out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "compile", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "train.yaml"
    done = compile_to(path, PYTHONHASHSEED="1", STMAE_IMAGE="registry.example/stmae/train@sha256:0123")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(path)
    return path


@pytest.fixture(scope="module")
def pipeline(compiled: Path) -> dict[str, Any]:
    return next(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def containers(pipeline: dict[str, Any]) -> dict[str, Any]:
    executors = pipeline["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor["container"] for name, executor in executors.items()}


@pytest.fixture(scope="module")
def platform(compiled: Path) -> dict[str, Any]:
    _, document = yaml.safe_load_all(compiled.read_text(encoding="utf-8"))
    executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor for name, executor in executors.items()}


def test_compiling_twice_gives_the_same_bytes(compiled: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    compile_to(again, PYTHONHASHSEED="2", STMAE_IMAGE="registry.example/stmae/train@sha256:0123")
    assert again.read_bytes() == compiled.read_bytes()


def test_a_gpu_is_asked_for_by_the_steps_that_run_networks_and_by_no_other(
    containers: dict[str, Any],
) -> None:
    assert containers.keys() == STEPS
    asking = {
        name: container["resources"]["accelerator"]
        for name, container in containers.items()
        if "accelerator" in container["resources"]
    }
    assert asking.keys() == GPU_STEPS
    for accelerator in asking.values():
        assert accelerator["resourceType"] == "nvidia.com/gpu"
        assert accelerator["resourceCount"] == "1"


def test_every_step_states_cpu_and_memory_request_and_limit(containers: dict[str, Any]) -> None:
    for name, container in containers.items():
        resources = container["resources"]
        for kind in ("Cpu", "Memory"):
            assert resources[f"resource{kind}Request"], name
            assert resources[f"resource{kind}Limit"], name


def test_every_step_has_a_timeout_and_retries(pipeline: dict[str, Any], platform: dict[str, Any]) -> None:
    tasks = pipeline["root"]["dag"]["tasks"]
    assert tasks.keys() == platform.keys() == STEPS
    for name in STEPS:
        assert int(platform[name]["activeDeadlineSeconds"]) >= 600
        assert tasks[name]["retryPolicy"]["maxRetryCount"] >= 1


def test_the_steps_that_run_networks_have_shared_memory(platform: dict[str, Any]) -> None:
    mounted = {name for name, executor in platform.items() if "emptyDirMounts" in executor}
    assert mounted == GPU_STEPS
    for name in mounted:
        (mount,) = platform[name]["emptyDirMounts"]
        assert (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory")
        assert mount["sizeLimit"]


def test_footage_is_mounted_where_it_is_read_and_the_repository_where_it_is_written(
    platform: dict[str, Any],
) -> None:
    mounts = {
        name: [(claim["constant"], claim["mountPath"]) for claim in executor["pvcMount"]]
        for name, executor in platform.items()
        if "pvcMount" in executor
    }
    assert mounts == {
        "prepare-dataset": [("stmae-data", "/data")],
        "publish": [("stmae-models", "/models")],
    }


def test_all_steps_run_the_one_image_and_install_nothing(containers: dict[str, Any], compiled: Path) -> None:
    assert {container["image"] for container in containers.values()} == {"registry.example/stmae/train@sha256:0123"}
    assert "pip install" not in compiled.read_text(encoding="utf-8")


def test_without_a_choice_the_image_is_the_released_one(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "STMAE_IMAGE"}
    command = [sys.executable, "-c", "from components.image import BASE_IMAGE; print(BASE_IMAGE)"]
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "stmae/train:0.1.0"


def test_the_two_pretrainings_are_independent_and_publishing_waits_for_export_and_evaluation(
    pipeline: dict[str, Any],
) -> None:
    tasks = pipeline["root"]["dag"]["tasks"]

    def upstream(name: str) -> set[str]:
        direct = set(tasks[name].get("dependentTasks", []))
        return direct.union(*(upstream(other) for other in direct))

    assert upstream("pretrain-appearance") == {"prepare-dataset"}
    assert upstream("pretrain-motion") == {"prepare-dataset", "extract-flow"}
    assert set(tasks["publish"]["dependentTasks"]) == {"export", "evaluate"}
    assert upstream("publish") == STEPS - {"publish"}


def test_the_interface_shows_roc_figures_and_the_report(pipeline: dict[str, Any]) -> None:
    outputs = pipeline["components"]["comp-evaluate"]["outputDefinitions"]["artifacts"]
    kinds = {name: artifact["artifactType"]["schemaTitle"] for name, artifact in outputs.items()}
    assert kinds == {
        "evaluation": "system.Artifact",
        "metrics": "system.Metrics",
        "roc": "system.ClassificationMetrics",
        "report": "system.HTML",
    }


def test_new_footage_changes_the_cache_key_and_publishing_is_never_cached(pipeline: dict[str, Any]) -> None:
    tasks = pipeline["root"]["dag"]["tasks"]
    assert "data_version" in tasks["prepare-dataset"]["inputs"]["parameters"]
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == STEPS - {"publish"}


def test_a_name_that_is_not_yaml_is_bad_usage(tmp_path: Path) -> None:
    done = compile_to(tmp_path / "train.txt")
    assert done.returncode == 2
    assert "must end in .yaml" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = compile_to(tmp_path / "file" / "train.yaml")
    assert done.returncode == 1
    assert str(tmp_path / "file" / "train.yaml") in done.stderr
