"""Submitting to Kubeflow Pipelines: what is sent, and what a user reads when nobody answers."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import run_pipeline

Server = http.server.ThreadingHTTPServer


class Api(http.server.BaseHTTPRequestHandler):
    """As much of the API as creating a run touches; keeps the run that was sent."""

    def do_GET(self) -> None:
        if self.path.endswith("/healthz"):
            self._answer({"multi_user": False})
        else:
            self._answer({"experiments": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/experiments"):
            self._answer({"experiment_id": "experiment-1", "display_name": body["display_name"]})
        elif self.path.endswith("/runs"):
            self.server.runs.append(body)  # type: ignore[attr-defined]
            self._answer({"run_id": "run-1"})
        else:
            self.send_error(404)

    def _answer(self, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Api) as server:
        server.runs = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_with_kfp_host_the_run_is_submitted_and_its_address_printed(api: Server, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{api.server_port}"
    done = run_pipeline(
        tmp_path, "--set", "seed=3", "--data-root", "/data/street", "--data-version", "v7", KFP_HOST=host
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{host}/#/runs/details/run-1"
    (sent,) = api.runs  # type: ignore[attr-defined]
    parameters = sent["runtime_config"]["parameters"]
    assert json.loads(parameters["config"])["seed"] == 3
    assert (parameters["data_root"], parameters["data_version"]) == ("/data/street", "v7")
    assert "exec-train-adversarial" in json.dumps(sent["pipeline_spec"])
    assert "nvidia.com/gpu" in json.dumps(sent["pipeline_spec"])
    assert not (tmp_path / "runs").exists(), "nothing runs here"


def test_a_study_is_submitted_with_its_seeds_and_their_variants(api: Server, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{api.server_port}"
    done = run_pipeline(tmp_path, "--pipeline", "ablation", "--seeds", "1 2", "--set", "seed=9", KFP_HOST=host)
    assert done.returncode == 0, done.stderr
    (sent,) = api.runs  # type: ignore[attr-defined]
    assert sent["display_name"].startswith("ablation-walkway-")
    parameters = sent["runtime_config"]["parameters"]
    assert parameters["study"] == "ablation"
    assert [(seed["seed"], json.loads(seed["config"])["seed"]) for seed in parameters["seeds"]] == [(1, 1), (2, 2)]
    for seed in parameters["seeds"]:
        configs = [json.loads(variant["config"]) for variant in seed["variants"]]
        assert len(configs) == 8
        assert {config["seed"] for config in configs} == {seed["seed"]}
    assert "exec-compare" in json.dumps(sent["pipeline_spec"])


def test_where_nobody_answers_the_address_and_the_mend_are_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = run_pipeline(tmp_path, "--host", host)
    assert done.returncode == 1
    assert f"no Kubeflow Pipelines at {host}" in done.stderr
    assert "KFP_HOST" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    done = run_pipeline(tmp_path, "--host", "kubeflow")
    assert done.returncode == 1
    assert "no Kubeflow Pipelines at kubeflow" in done.stderr
