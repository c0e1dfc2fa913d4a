"""Steps run as pods run them: alone with the image's packages, not as root, on a read-only root; killed, and again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from compiled_yaml import GOLDEN, Compiled
from pods import RUN, USER, Pod, as_root, image_packages
from runs import Run

pytestmark = pytest.mark.skipif(not as_root(), reason="a read-only root and another user need root")

DATASET = f"{RUN}/prepare-dataset/dataset"
MODEL = f"{RUN}/pretrain-appearance/appearance/model.safetensors"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_packages(tmp_path_factory.mktemp("image") / "venv", "stmae[train]", "kfp")


@pytest.fixture
def pod(tmp_path: Path, image: Path) -> Pod:
    """The golden files are what is compiled; test_compiled_pipeline.py sees to it."""
    return Pod(tmp_path / "pod", image, Compiled(GOLDEN / "train.yaml"))


def prepared(pod: Pod, finished: Run) -> Pod:
    """Puts the dataset of the small run where the launcher puts an input."""
    shutil.copytree(finished.artifact("prepare-dataset", "dataset"), pod.path(DATASET))
    pod.path(RUN).chmod(0o777)
    return pod


def settings(finished: Run, **train: int) -> dict[str, str]:
    config = json.loads((Path(finished.summary["run"]) / "config.json").read_text(encoding="utf-8"))
    config["train"] |= train
    return {"config": json.dumps(config), "dataset_digest": "aa"}


def test_the_first_step_runs_in_a_pod(pod: Pod) -> None:
    parameters: dict[str, Any] = {
        name: definition["defaultValue"]
        for name, definition in pod.compiled.pipeline["root"]["inputDefinitions"]["parameters"].items()
        if "defaultValue" in definition
    }
    declared = pod.compiled.component("resolve-config")["inputDefinitions"]["parameters"]
    given = {"study": "", "seeds": ""} | {name: parameters[name] for name in declared if name in parameters}
    pod.path("/data/a.mp4").write_bytes(b"1234")
    printed = pod.run("resolve-config", given | {"overrides": "model.size=32"})
    values = pod.output()["parameterValues"]
    assert json.loads(values["config"])["model"]["size"] == 32, printed
    assert len(values["data_version"]) == 64


@pytest.mark.slow
def test_a_training_step_runs_in_a_pod_and_writes_to_its_volumes_only(pod: Pod, finished: Run) -> None:
    printed = prepared(pod, finished).run("pretrain-appearance", settings(finished), {"dataset": DATASET})
    assert pod.path(MODEL).stat().st_uid == USER
    assert pod.output()["parameterValues"]["digest"]
    assert list(pod.path("/models/checkpoints").glob("*/checkpoint.safetensors"))
    for complaint in ("not a writable", "Read-only file system", "Permission denied", "Matplotlib", "Traceback"):
        assert complaint not in printed


def test_a_pod_cannot_write_to_its_root_nor_import_what_the_image_lacks(pod: Pod) -> None:
    """So the tests above mean something."""
    source = (
        "import importlib.util, os, sys\n"
        "def writable(path):\n"
        "    try:\n"
        "        open(path + '/probe', 'w').close()\n"
        "    except OSError:\n"
        "        return False\n"
        "    return True\n"
        "print(os.getuid(), [p for p in ('/', '/usr', '/etc', sys.prefix, '/tmp', '/models') if writable(p)])\n"
        "print([name for name in ('torch', 'kfp', 'ray', 'pytest', 'boto3') if importlib.util.find_spec(name)])\n"
    )
    container = pod.compiled.containers["resolve-config"]
    probe = {**container, "command": ["python3", "-c", source], "args": []}
    other = Compiled(pod.compiled.path)
    other.containers["resolve-config"] = probe
    declared = other.component("resolve-config")["inputDefinitions"]["parameters"]
    printed = Pod(pod.folder, pod.image, other).run("resolve-config", dict.fromkeys(declared, ""))
    assert printed.splitlines() == [f"{USER} ['/tmp', '/models']", "['torch', 'kfp']"]


@pytest.mark.slow
def test_a_training_that_is_killed_goes_on_from_its_checkpoint_to_the_same_weights(
    pod: Pod, finished: Run, tmp_path: Path
) -> None:
    given = settings(finished, steps=240, checkpoint_steps=2)
    undisturbed = prepared(Pod(tmp_path / "undisturbed", pod.image, pod.compiled), finished)
    undisturbed.run("pretrain-appearance", given, {"dataset": DATASET})

    prepared(pod, finished)
    moment = random.uniform(0, 0.5)
    with pod.start("pretrain-appearance", given, {"dataset": DATASET}) as process:
        deadline = time.monotonic() + 120
        while not list(pod.path("/models").glob("checkpoints/*/checkpoint.safetensors")):
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it had ended before it was killed after {moment} s"
    assert not pod.path(MODEL).exists()

    printed = pod.run("pretrain-appearance", given, {"dataset": DATASET})
    assert "continuing" in printed, f"killed {moment} s after the first checkpoint"
    assert pod.path(MODEL).read_bytes() == undisturbed.path(MODEL).read_bytes(), f"killed after {moment} s"
    assert pod.output()["parameterValues"] == undisturbed.output()["parameterValues"]
