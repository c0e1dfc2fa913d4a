"""The compiled pipelines: what Kubeflow is asked for. Settings are read from the YAML, since kfp releases have
dropped some of them silently."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from compiled_yaml import GOLDEN, IMAGE, IMAGES, Compiled, compile_to

TRAINED = {"prepare-dataset", "extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}
ALWAYS = {"resolve-config", "report-run"}
STEPS = {
    "train": TRAINED | ALWAYS | {"export", "gate", "publish", "register"},
    "study": TRAINED | ALWAYS | {"expand-study", "compare", "compare-2"},  # of a seed, and of the whole study
}
GPU_STEPS = {"extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}
NEVER_CACHED = ALWAYS | {"gate", "publish", "register", "compare", "compare-2"}
DIGESTS = {
    "dataset": ("prepare-dataset", "dataset_digest"),
    "flow": ("prepare-dataset", "dataset_digest"),  # flow is a function of the dataset and of the image
    "appearance": ("pretrain-appearance", "appearance_digest"),
    "motion": ("pretrain-motion", "motion_digest"),
    "model": ("train-adversarial", "model_digest"),
}
"""Artifact -> the step that makes its digest, and the parameter in which the digest travels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "pipelines"
    done = compile_to(path, PYTHONHASHSEED="1")
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


@pytest.mark.parametrize("name", STEPS)
def test_what_is_compiled_is_what_was_reviewed(folder: Path, name: str) -> None:
    """A difference is reviewed, and accepted with `python tests/pipeline/compiled_yaml.py`."""
    golden = (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")
    assert (folder / f"{name}.yaml").read_text(encoding="utf-8") == golden


def test_compiling_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    compile_to(tmp_path, PYTHONHASHSEED="2")
    for name in STEPS:
        assert (tmp_path / f"{name}.yaml").read_bytes() == (folder / f"{name}.yaml").read_bytes()


def test_every_parameter_has_a_type_a_default_and_a_description(compiled: Compiled) -> None:
    parameters = compiled.pipeline["root"]["inputDefinitions"]["parameters"]
    assert {"dataset", "config_toml", "overrides", "data_root", "data_version"} <= parameters.keys()
    for name, definition in parameters.items():
        assert definition["description"], name
        assert "defaultValue" in definition, name
    types = {name: definition["parameterType"] for name, definition in parameters.items()}
    assert types["steps"] == "NUMBER_INTEGER"
    if compiled.name == "train":
        assert (types["seed"], types["auc_tolerance"]) == ("NUMBER_INTEGER", "NUMBER_DOUBLE")


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
    for name in compiled.containers:
        variables = compiled.environment(name)
        assert variables["MALLOC_MMAP_MAX_"] == "0", name
        assert int(variables["MALLOC_TRIM_THRESHOLD_"]) > 1 << 35, name


def test_every_step_has_a_timeout_and_retries(compiled: Compiled) -> None:
    assert compiled.platform.keys() == STEPS[compiled.name]
    for name in STEPS[compiled.name]:
        assert int(compiled.platform[name]["activeDeadlineSeconds"]) >= 600
        assert compiled.tasks[name]["retryPolicy"]["maxRetryCount"] >= 1


def test_a_run_has_a_deadline_and_its_workflow_is_deleted_some_day(compiled: Compiled) -> None:
    config = compiled.document["platforms"]["kubernetes"]["pipelineConfig"]
    assert config["activeDeadlineSeconds"] == 168 * 3600
    assert config["resourceTtlOnCompletion"] == 30 * 24 * 3600


def test_no_step_runs_as_root(compiled: Compiled) -> None:
    for name, executor in compiled.platform.items():
        context = executor["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert (int(context["runAsUser"]), int(context["runAsGroup"])) == (65532, 65532), name


def test_every_step_has_a_tmp_of_its_own_and_a_home_in_it(compiled: Compiled) -> None:
    """So the rest of the file system may be read-only."""
    for name, executor in compiled.platform.items():
        mounts = {mount["mountPath"]: mount for mount in executor["emptyDirMounts"]}
        assert mounts["/tmp"]["sizeLimit"], name
        assert compiled.environment(name)["HOME"] == "/tmp", name


def test_the_steps_that_run_networks_have_shared_memory(compiled: Compiled) -> None:
    shared = {
        name: mount
        for name, executor in compiled.platform.items()
        for mount in executor["emptyDirMounts"]
        if mount["mountPath"] == "/dev/shm"
    }
    assert shared.keys() == GPU_STEPS
    for mount in shared.values():
        assert mount["medium"] == "Memory"
        assert mount["sizeLimit"]


def test_footage_is_mounted_where_it_is_read_and_models_where_they_and_checkpoints_are_written(
    compiled: Compiled,
) -> None:
    mounts = {
        name: [(claim["constant"], claim["mountPath"]) for claim in executor["pvcMount"]]
        for name, executor in compiled.platform.items()
        if "pvcMount" in executor
    }
    using = {"pretrain-appearance", "pretrain-motion", "train-adversarial"}
    using |= {"gate", "publish", "register"} if compiled.name == "train" else set()
    read = {name: [("stmae-data", "/data")] for name in ("resolve-config", "prepare-dataset")}
    assert mounts == read | {name: [("stmae-models", "/models")] for name in using}


def test_checkpoints_outlive_the_pod_of_a_training_step(compiled: Compiled) -> None:
    for name in ("pretrain-appearance", "pretrain-motion", "train-adversarial"):
        assert compiled.environment(name)["STMAE_CHECKPOINTS"] == "/models/checkpoints"


def test_credentials_come_from_a_secret_and_go_to_the_steps_that_use_buckets(compiled: Compiled) -> None:
    secrets = {
        name: [
            (each["secretName"], {key["secretKey"]: key["envVar"] for key in each["keyToEnv"]}, each["optional"])
            for each in executor["secretAsEnv"]
        ]
        for name, executor in compiled.platform.items()
        if "secretAsEnv" in executor
    }
    using = {"resolve-config", "prepare-dataset"}
    using |= {"gate", "publish", "register"} if compiled.name == "train" else set()
    keys = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    assert secrets == {name: [("stmae-s3", keys, True)] for name in using}


def test_all_steps_run_the_one_image_by_its_digest_and_install_nothing(compiled: Compiled) -> None:
    assert {container["image"] for container in compiled.containers.values()} == {IMAGE}
    assert re.fullmatch(r".+@sha256:[0-9a-f]{64}", IMAGE)
    assert "pip install" not in compiled.path.read_text(encoding="utf-8")


def test_without_a_choice_the_image_is_the_one_of_the_manifests(tmp_path: Path) -> None:
    done = compile_to(tmp_path, STMAE_IMAGES="")
    assert done.returncode == 0, done.stderr
    for path in tmp_path.iterdir():
        for container in Compiled(path).containers.values():
            assert re.fullmatch(r".+/stmae-train@sha256:[0-9a-f]{64}", container["image"])


def upstream(compiled: Compiled, name: str) -> set[str]:
    direct = set(compiled.tasks[name].get("dependentTasks", []))
    return direct.union(*(upstream(compiled, other) for other in direct))


def test_the_two_pretrainings_are_independent_and_publishing_waits_for_the_gate_and_the_export(train: Compiled) -> None:
    assert upstream(train, "pretrain-appearance") == {"resolve-config", "prepare-dataset"}
    assert upstream(train, "pretrain-motion") == {"resolve-config", "prepare-dataset", "extract-flow"}
    assert set(train.tasks["publish"]["dependentTasks"]) == {"export", "evaluate", "gate"}
    assert upstream(train, "publish") == TRAINED | {"resolve-config", "export", "gate"}
    promote = train.tasks["publish"]["inputs"]["parameters"]["promote"]
    assert promote["taskOutputParameter"] == {"outputParameterKey": "passed", "producerTask": "gate"}


def test_versions_are_registered_only_where_there_is_a_model_registry(train: Compiled) -> None:
    (group,) = (name for name in train.tasks if name.startswith("condition-"))
    assert "model_registry'] != ''" in train.tasks[group]["triggerPolicy"]["condition"]
    assert train.component(group)["dag"]["tasks"].keys() == {"register"}


def test_the_report_waits_for_all_other_steps_and_runs_whatever_becomes_of_them(compiled: Compiled) -> None:
    root = compiled.pipeline["root"]["dag"]["tasks"]
    assert root.keys() == {"exit-handler-1", "report-run"}
    report = root["report-run"]
    assert report["dependentTasks"] == ["exit-handler-1"]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert report["inputs"]["parameters"]["status"]["taskFinalStatus"]["producerTask"] == "exit-handler-1"


def test_encoders_are_pretrained_once_a_seed_and_variants_are_trained_in_a_loop_within(study: Compiled) -> None:
    components = study.pipeline["components"]
    body = components["comp-exit-handler-1"]["dag"]["tasks"]
    (loop,) = (name for name in body if name.startswith("for-loop-"))
    assert body.keys() == {"resolve-config", "prepare-dataset", "extract-flow", "expand-study", loop, "compare"}
    assert body[loop]["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--expand-study-Output"}
    (seed,) = components[body[loop]["componentRef"]["name"]]["dag"]["tasks"].values()
    of_seed = components[seed["componentRef"]["name"]]["dag"]["tasks"]
    assert of_seed.keys() == {"pretrain-appearance", "pretrain-motion", "for-loop-1", "compare"}
    of_variant = components[of_seed["for-loop-1"]["componentRef"]["name"]]["dag"]["tasks"]
    assert of_variant.keys() == {"train-adversarial", "evaluate"}


def test_no_more_than_eight_models_of_a_study_are_trained_at_a_time(study: Compiled) -> None:
    limits = [task["iteratorPolicy"]["parallelismLimit"] for task in study.tasks.values() if "iteratorPolicy" in task]
    assert sorted(limits) == [2, 4]


def shown(compiled: Compiled, step: str) -> dict[str, str]:
    outputs = compiled.component(step)["outputDefinitions"]["artifacts"]
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
    assert shown(compiled, "report-run") == {"report": "system.Markdown"}


def test_what_looks_at_or_changes_a_store_is_never_cached_and_all_else_is(compiled: Compiled) -> None:
    assert compiled.cached() == STEPS[compiled.name] - NEVER_CACHED


def test_the_version_of_the_footage_is_found_out_anew_in_each_run(compiled: Compiled) -> None:
    parameters = compiled.tasks["prepare-dataset"]["inputs"]["parameters"]
    assert parameters["data_version"]["taskOutputParameter"]["producerTask"] == "resolve-config"
    assert "resolve-config" not in compiled.cached()


def test_the_digest_of_each_artifact_is_a_parameter_of_the_steps_that_read_it(train: Compiled) -> None:
    """Kubeflow's cache compares parameters, and of artifacts the names only."""
    for step in sorted(train.cached()):
        parameters = train.tasks[step]["inputs"]["parameters"]
        assert parameters["config"]["taskOutputParameter"]["producerTask"] == "resolve-config"
        for artifact in train.component(step)["inputDefinitions"].get("artifacts", {}):
            producer, parameter = DIGESTS[artifact]
            source = parameters[parameter]["taskOutputParameter"]
            assert source == {"outputParameterKey": "digest", "producerTask": producer}, (step, artifact)


def test_identical_inputs_hit_the_cache_and_other_footage_models_settings_or_code_miss_it(
    train: Compiled, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"config": '{"seed":1}', "dataset_digest": "aa", "model_digest": "bb", "data_version": "v1"}
    text = IMAGES.read_text(encoding="utf-8")
    (tmp_path / "images.yaml").write_text(text.replace(64 * "0", 64 * "9"), encoding="utf-8")
    compile_to(tmp_path, STMAE_IMAGES=str(tmp_path / "images.yaml"))
    other_code = Compiled(tmp_path / "train.yaml")
    for step in train.cached():
        key = train.cache_key(step, given)
        assert train.cache_key(step, dict(given)) == key
        assert other_code.cache_key(step, given) != key, step
        assert train.cache_key(step, given | {"config": '{"seed":2}'}) != key, step
    assert train.cache_key("prepare-dataset", given | {"data_version": "v2"}) != train.cache_key(
        "prepare-dataset", given
    )
    for step in train.cached() - {"prepare-dataset"}:
        assert train.cache_key(step, given | {"dataset_digest": "ab"}) != train.cache_key(step, given), step
    for step in ("evaluate", "export"):
        assert train.cache_key(step, given | {"model_digest": "bc"}) != train.cache_key(step, given), step


def test_a_file_instead_of_a_folder_is_bad_usage(tmp_path: Path) -> None:
    done = compile_to(tmp_path / "train.yaml")
    assert done.returncode == 2
    assert "must be a folder" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = compile_to(tmp_path / "file" / "pipelines")
    assert done.returncode == 1
    assert str(tmp_path / "file" / "pipelines") in done.stderr
