"""The compiled pipelines: what Kubeflow is asked for. Settings are read from the YAML, since kfp releases have
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
TRAINED = {"prepare-dataset", "extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}
STEPS = {
    "train": TRAINED | {"export", "publish"},
    "study": TRAINED | {"compare", "compare-2"},  # of a seed, and of the whole study
}
GPU_STEPS = {"extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}
ENVIRONMENT = {"STMAE_IMAGE": "registry.example/stmae/train@sha256:0123"}


class Compiled:
    """One of the compiled pipelines."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.stem
        self.pipeline, document = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        executors = self.pipeline["deploymentSpec"]["executors"]
        self.containers = {name.removeprefix("exec-"): executor["container"] for name, executor in executors.items()}
        executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        self.platform = {name.removeprefix("exec-"): executor for name, executor in executors.items()}
        dags = [part["dag"] for part in (self.pipeline["root"], *self.pipeline["components"].values()) if "dag" in part]
        self.tasks: dict[str, Any] = {}
        """By the name of what they run: loops, pipelines within and steps."""
        for dag in dags:
            self.tasks |= {task["componentRef"]["name"].removeprefix("comp-"): task for task in dag["tasks"].values()}


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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "pipelines"
    done = compile_to(path, PYTHONHASHSEED="1", **ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(path / "train.yaml"), str(path / "study.yaml")]
    return path


@pytest.fixture(scope="module", params=["train", "study"])
def compiled(folder: Path, request: pytest.FixtureRequest) -> Compiled:
    return Compiled(folder / f"{request.param}.yaml")


@pytest.fixture(scope="module")
def train(folder: Path) -> Compiled:
    return Compiled(folder / "train.yaml")


@pytest.fixture(scope="module")
def study(folder: Path) -> Compiled:
    return Compiled(folder / "study.yaml")


def test_compiling_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    compile_to(tmp_path, PYTHONHASHSEED="2", **ENVIRONMENT)
    for name in STEPS:
        assert (tmp_path / f"{name}.yaml").read_bytes() == (folder / f"{name}.yaml").read_bytes()


def test_a_gpu_is_asked_for_by_the_steps_that_run_networks_and_by_no_other(compiled: Compiled) -> None:
    assert compiled.containers.keys() == STEPS[compiled.name]
    asking = {
        name: container["resources"]["accelerator"]
        for name, container in compiled.containers.items()
        if "accelerator" in container["resources"]
    }
    assert asking.keys() == GPU_STEPS
    for accelerator in asking.values():
        assert accelerator["resourceType"] == "nvidia.com/gpu"
        assert accelerator["resourceCount"] == "1"


def test_every_step_states_cpu_and_memory_request_and_limit(compiled: Compiled) -> None:
    for name, container in compiled.containers.items():
        resources = container["resources"]
        for kind in ("Cpu", "Memory"):
            assert resources[f"resource{kind}Request"], name
            assert resources[f"resource{kind}Limit"], name


def test_every_step_keeps_the_memory_of_its_tensors(compiled: Compiled) -> None:
    for name, container in compiled.containers.items():
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables["MALLOC_MMAP_MAX_"] == "0", name
        assert int(variables["MALLOC_TRIM_THRESHOLD_"]) > 1 << 35, name


def test_every_step_has_a_timeout_and_retries(compiled: Compiled) -> None:
    assert compiled.platform.keys() == STEPS[compiled.name]
    for name in STEPS[compiled.name]:
        assert int(compiled.platform[name]["activeDeadlineSeconds"]) >= 600
        assert compiled.tasks[name]["retryPolicy"]["maxRetryCount"] >= 1


def test_the_steps_that_run_networks_have_shared_memory(compiled: Compiled) -> None:
    mounted = {name for name, executor in compiled.platform.items() if "emptyDirMounts" in executor}
    assert mounted == GPU_STEPS
    for name in mounted:
        (mount,) = compiled.platform[name]["emptyDirMounts"]
        assert (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory")
        assert mount["sizeLimit"]


def test_footage_is_mounted_where_it_is_read_and_models_where_they_and_checkpoints_are_written(
    compiled: Compiled,
) -> None:
    mounts = {
        name: [(claim["constant"], claim["mountPath"]) for claim in executor["pvcMount"]]
        for name, executor in compiled.platform.items()
        if "pvcMount" in executor
    }
    writing = {"pretrain-appearance", "pretrain-motion", "train-adversarial"}
    writing |= {"publish"} if compiled.name == "train" else set()
    written = {name: [("stmae-models", "/models")] for name in writing}
    assert mounts == {"prepare-dataset": [("stmae-data", "/data")], **written}


def test_all_steps_run_the_one_image_and_install_nothing(compiled: Compiled) -> None:
    assert {container["image"] for container in compiled.containers.values()} == {ENVIRONMENT["STMAE_IMAGE"]}
    assert "pip install" not in compiled.path.read_text(encoding="utf-8")


def test_without_a_choice_the_image_is_the_released_one(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "STMAE_IMAGE"}
    command = [sys.executable, "-c", "from components.image import BASE_IMAGE; print(BASE_IMAGE)"]
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "stmae/train:0.1.0"


def test_the_two_pretrainings_are_independent_and_publishing_waits_for_export_and_evaluation(train: Compiled) -> None:
    tasks = train.tasks

    def upstream(name: str) -> set[str]:
        direct = set(tasks[name].get("dependentTasks", []))
        return direct.union(*(upstream(other) for other in direct))

    assert upstream("pretrain-appearance") == {"prepare-dataset"}
    assert upstream("pretrain-motion") == {"prepare-dataset", "extract-flow"}
    assert set(tasks["publish"]["dependentTasks"]) == {"export", "evaluate"}
    assert upstream("publish") == STEPS["train"] - {"publish"}


def test_encoders_are_pretrained_once_a_seed_and_variants_are_trained_in_a_loop_within(study: Compiled) -> None:
    components = study.pipeline["components"]
    root = study.pipeline["root"]["dag"]["tasks"]
    assert root.keys() == {"prepare-dataset", "extract-flow", "for-loop-1", "compare"}
    assert root["for-loop-1"]["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--seeds"}
    (seed,) = components[root["for-loop-1"]["componentRef"]["name"]]["dag"]["tasks"].values()
    of_seed = components[seed["componentRef"]["name"]]["dag"]["tasks"]
    assert of_seed.keys() == {"pretrain-appearance", "pretrain-motion", "for-loop-1", "compare"}
    of_variant = components[of_seed["for-loop-1"]["componentRef"]["name"]]["dag"]["tasks"]
    assert of_variant.keys() == {"train-adversarial", "evaluate"}


def test_no_more_than_eight_models_of_a_study_are_trained_at_a_time(study: Compiled) -> None:
    limits = [task["iteratorPolicy"]["parallelismLimit"] for task in study.tasks.values() if "iteratorPolicy" in task]
    assert sorted(limits) == [2, 4]


def shown(compiled: Compiled, step: str) -> dict[str, str]:
    outputs = compiled.pipeline["components"][f"comp-{step}"]["outputDefinitions"]["artifacts"]
    return {name: artifact["artifactType"]["schemaTitle"] for name, artifact in outputs.items()}


def test_the_interface_shows_the_table_of_a_study_and_its_report(study: Compiled) -> None:
    assert shown(study, "compare") == {"table": "system.Artifact", "metrics": "system.Metrics", "report": "system.HTML"}


def test_the_interface_shows_roc_figures_and_the_report(compiled: Compiled) -> None:
    assert shown(compiled, "evaluate") == {
        "evaluation": "system.Artifact",
        "metrics": "system.Metrics",
        "roc": "system.ClassificationMetrics",
        "report": "system.HTML",
    }


def test_new_footage_changes_the_cache_key_and_publishing_is_never_cached(compiled: Compiled) -> None:
    tasks = compiled.tasks
    assert "data_version" in tasks["prepare-dataset"]["inputs"]["parameters"]
    cached = {name for name in STEPS[compiled.name] if tasks[name]["cachingOptions"].get("enableCache")}
    assert cached == STEPS[compiled.name] - {"publish"}


def test_a_file_instead_of_a_folder_is_bad_usage(tmp_path: Path) -> None:
    done = compile_to(tmp_path / "train.yaml")
    assert done.returncode == 2
    assert "must be a folder" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = compile_to(tmp_path / "file" / "pipelines")
    assert done.returncode == 1
    assert str(tmp_path / "file" / "pipelines") in done.stderr
