"""Submitting to Kubeflow Pipelines: what is sent, and what a user reads when nobody answers."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from kubeflow import Api, Kubeflow, Login, Refusing, serve
from runs import Run, run_pipeline

from pipelines.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore")  # kfp's own, which the command does not show either


@pytest.fixture
def api() -> Iterator[Kubeflow]:
    with serve(Api) as server:
        yield server


def call(workspace: Path, *arguments: str, **environment: str) -> Run:
    """Calls the command in this process: kfp, which takes seconds to import, is imported once."""
    out, err = io.StringIO(), io.StringIO()
    given = {"KFP_HOST": "", **environment}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), patch.dict("os.environ", given):
        status = main(list(arguments))
    return Run(workspace, status, out.getvalue(), err.getvalue())


def submit(workspace: Path, *arguments: str, config: str = "walkway", **environment: str) -> Run:
    return call(workspace, "run", "--config", config, "--workspace", str(workspace), *arguments, **environment)


def schedule(workspace: Path, *arguments: str) -> Run:
    return call(workspace, "schedule", "--config", "walkway", *arguments)


def test_with_kfp_host_the_run_is_submitted_and_its_address_printed(api: Kubeflow, tmp_path: Path) -> None:
    done = submit(
        tmp_path,
        *("--set", "seed=3", "--set", "data.train_glob=my clips/*", "--data-root", "s3://cctv/street"),
        *("--data-version", "v7"),
        KFP_HOST=api.url,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{api.url}/#/runs/details/run-1"
    (sent,) = api.runs
    assert sent["runtime_config"]["parameters"] == {
        "dataset": "walkway",
        "overrides": "seed=3 'data.train_glob=my clips/*'",
        "data_root": "s3://cctv/street",
        "data_version": "v7",
    }, "typed parameters, and those that nobody named keep their defaults"
    assert sent["service_account"] == "stmae-pipeline"
    assert "exec-train-adversarial" in json.dumps(sent["pipeline_spec"])
    assert "nvidia.com/gpu" in json.dumps(sent["pipeline_spec"])
    assert not (tmp_path / "runs").exists(), "nothing runs here"


def test_a_file_of_one_s_own_is_submitted_as_its_text(api: Kubeflow, tmp_path: Path) -> None:
    text = '# The gate.\nname = "gate"\n[data]\nreader = "folder"\n'
    (tmp_path / "gate.toml").write_text(text, encoding="utf-8")
    done = submit(tmp_path, KFP_HOST=api.url, config=str(tmp_path / "gate.toml"))
    assert done.returncode == 0, done.stderr
    (sent,) = api.runs
    assert sent["runtime_config"]["parameters"] == {"dataset": "gate", "config_toml": text}
    assert sent["display_name"].startswith("gate-")


def test_a_study_is_submitted_with_its_name_and_seeds(api: Kubeflow, tmp_path: Path) -> None:
    done = submit(tmp_path, "--pipeline", "ablation", "--seeds", "1 2", "--set", "seed=9", KFP_HOST=api.url)
    assert done.returncode == 0, done.stderr
    (sent,) = api.runs
    assert sent["display_name"].startswith("ablation-walkway-")
    parameters = sent["runtime_config"]["parameters"]
    assert parameters == {"dataset": "walkway", "overrides": "seed=9", "study": "ablation", "seeds": "1 2"}
    assert "exec-compare" in json.dumps(sent["pipeline_spec"])


def test_a_model_registry_is_passed_on(api: Kubeflow, tmp_path: Path) -> None:
    done = submit(tmp_path, KFP_HOST=api.url, MODEL_REGISTRY="http://registry.example:8080")
    assert done.returncode == 0, done.stderr
    (sent,) = api.runs
    assert sent["runtime_config"]["parameters"]["model_registry"] == "http://registry.example:8080"


def test_a_schedule_trains_again_and_again_one_run_at_a_time(api: Kubeflow, tmp_path: Path) -> None:
    done = schedule(tmp_path, "--host", api.url, "--cron", "0 30 2 * * 1", "--data-root", "/data/gate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{api.url}/#/recurringrun/details/recurring-1"
    sent = api.recurring["recurring-1"]
    assert sent["trigger"]["cron_schedule"]["cron"] == "0 30 2 * * 1"
    assert (int(sent["max_concurrency"]), sent["no_catchup"], sent["mode"]) == (1, True, "ENABLE")
    assert sent["display_name"] == "retrain-walkway"
    assert sent["service_account"] == "stmae-pipeline"
    assert sent["runtime_config"]["parameters"] == {"dataset": "walkway", "data_root": "/data/gate"}
    assert "exec-gate" in json.dumps(sent["pipeline_spec"])


def test_a_new_schedule_takes_the_place_of_the_old_one_and_of_no_other(api: Kubeflow, tmp_path: Path) -> None:
    api.recurring["recurring-0"] = {"display_name": "retrain-gate"}
    for cron in ("0 0 3 * * 0", "0 0 4 * * 0"):
        done = schedule(tmp_path, "--host", api.url, "--cron", cron)
        assert done.returncode == 0, done.stderr
    left = {run["display_name"]: run.get("trigger", {}) for run in api.recurring.values()}
    assert left == {"retrain-gate": {}, "retrain-walkway": {"cron_schedule": {"cron": "0 0 4 * * 0"}}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "http://127.0.0.1:1", "--cron", "0 3 * * 0"), "must have six fields"),
        (("--host", ""), "set KFP_HOST"),
    ],
)
def test_a_schedule_that_is_none_is_bad_usage(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = schedule(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_where_nobody_answers_the_address_and_the_mend_are_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = run_pipeline(tmp_path, "--host", host)
    assert done.returncode == 1
    assert f"no Kubeflow Pipelines at {host}" in done.stderr
    assert "KFP_HOST" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("handler", "message"), [(Login, "is a web page, perhaps a login"), (Refusing, "it answered 401; it wants a login")]
)
def test_a_login_page_is_told_from_kubeflow(handler: type[Login], message: str, tmp_path: Path) -> None:
    with serve(handler) as server:
        done = submit(tmp_path, "--host", server.url)
    assert done.returncode == 1
    assert f"no Kubeflow Pipelines at {server.url}" in done.stderr
    assert message in done.stderr
    assert "kubectl port-forward" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    done = submit(tmp_path, "--host", "kubeflow")
    assert done.returncode == 1
    assert "no Kubeflow Pipelines at kubeflow" in done.stderr
