"""The container that starts a Ray night: it copies the suspended RayJob, and tells what the Kubernetes API refuses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rendering import MANIFESTS, rendered

JOBS = "/apis/ray.io/v1/namespaces/stmae/rayjobs"


class Api(ThreadingHTTPServer):
    """What the script needs of the Kubernetes API. It refuses a name that it has, and a wrong token."""

    def __init__(self) -> None:
        template = rendered("ray").find("RayJob", "stmae-night")
        assert template is not None
        self.jobs: dict[str, Any] = {"stmae-night": {**template.body, "status": {"jobDeploymentStatus": "Suspended"}}}
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        if self.path == JOBS:
            return self.send(200, {"items": list(self.server.jobs.values())})
        job = self.server.jobs.get(self.path.removeprefix(f"{JOBS}/"))
        return self.send(200 if job else 404, job or {"reason": "NotFound"})

    def do_DELETE(self) -> None:
        self.send(200, self.server.jobs.pop(self.path.removeprefix(f"{JOBS}/")))

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = job["metadata"]["name"]
        if name in self.server.jobs:
            return self.send(409, {"reason": "AlreadyExists"})
        self.server.jobs[name] = job
        return self.send(201, job)

    def send(self, status: int, body: dict[str, Any]) -> None:
        if self.headers["Authorization"] != "Bearer token-of-the-pod":
            status, body = 403, {"reason": "Forbidden"}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def start(
    api: str, account: Path, token: str = "token-of-the-pod", job: str = "stmae-night"
) -> tuple[int, dict[str, Any]]:
    """Runs the script as the pod does; returns its status and its log line."""
    (account / "token").write_text(f"{token}\n")
    environment = os.environ | {
        "API": api,
        "NAMESPACE": "stmae",
        "JOB": job,
        "QUEUE": "night",
        "STARTED_BY": "stmae-start-29384760",
        "ACCOUNT": str(account),
    }
    script = MANIFESTS / "components" / "ray" / "start.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    (line,) = (done.stdout + done.stderr).splitlines()
    return done.returncode, json.loads(line)


def test_a_copy_runs_at_once_in_the_queue_and_the_template_stays_suspended(api: Api, tmp_path: Path) -> None:
    status, line = start(api.url, tmp_path)
    assert status == 0
    copied = api.jobs.pop(line["started"])
    (template,) = api.jobs.values()
    assert line["started"] == "stmae-night-29384760"
    assert copied["spec"] == {**template["spec"], "suspend": False}
    assert copied["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert "status" not in copied
    assert template["spec"]["suspend"] is True


@pytest.mark.parametrize(
    ("token", "job", "code"), [("another", "stmae-night", 403), ("token-of-the-pod", "night", 404)]
)
def test_a_refusal_is_told_and_fails_the_job(api: Api, tmp_path: Path, token: str, job: str, code: int) -> None:
    status, line = start(api.url, tmp_path, token, job)
    assert status == 1
    assert line["status"] == code
    assert JOBS in line["url"]
    assert list(api.jobs) == ["stmae-night"]


def test_a_further_try_of_the_same_job_starts_no_second_night(api: Api, tmp_path: Path) -> None:
    assert start(api.url, tmp_path) == start(api.url, tmp_path)
    assert list(api.jobs) == ["stmae-night", "stmae-night-29384760"]


def test_the_newest_nights_that_ended_are_kept_and_those_that_run(api: Api, tmp_path: Path) -> None:
    for day in range(1, 11):
        state = "Running" if day == 1 else "Failed" if day % 2 else "Complete"
        name, made = f"stmae-night-{day:02}", f"2026-11-{day:02}T01:00:00Z"
        metadata = {"name": name, "creationTimestamp": made}
        api.jobs[name] = {"metadata": metadata, "status": {"jobDeploymentStatus": state}}
    start(api.url, tmp_path)
    kept = [f"stmae-night-{day:02}" for day in (1, 4, 5, 6, 7, 8, 9, 10)]
    assert list(api.jobs) == ["stmae-night", *kept, "stmae-night-29384760"]


def test_an_api_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, line = start(f"http://127.0.0.1:{port}", tmp_path)
    assert status == 1
    assert "refused" in line["reason"]
