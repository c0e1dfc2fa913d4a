"""A small server with as much of Kubeflow's API as runs, recurring runs and reports touch."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any


class Kubeflow(http.server.ThreadingHTTPServer):
    """Keeps what was sent to it."""

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.runs: list[dict[str, Any]] = []
        self.recurring: dict[str, dict[str, Any]] = {}
        self.details: dict[str, Any] = {}
        """What the API says of any run."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Kubeflow

    def answer(self, content: Any, status: int = 200, kind: str = "application/json") -> None:
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return content

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Api(Handler):
    """The API of Kubeflow Pipelines."""

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if path.endswith("/healthz"):
            self.answer({"multi_user": False})
        elif path.endswith("/recurringruns"):
            listed = [{"recurring_run_id": key, **run} for key, run in self.server.recurring.items()]
            self.answer({"recurringRuns": listed})
        elif "/runs/" in path:
            self.answer(self.server.details)
        else:
            self.answer({"experiments": []})

    def do_POST(self) -> None:
        body = self.body()
        if self.path.endswith("/experiments"):
            self.answer({"experiment_id": "experiment-1", "display_name": body["display_name"]})
        elif self.path.endswith("/recurringruns"):
            key = f"recurring-{len(self.server.recurring) + 1}"
            self.server.recurring[key] = body
            self.answer({"recurring_run_id": key, **body})
        elif self.path.endswith("/runs"):
            self.server.runs.append(body)
            self.answer({"run_id": "run-1"})
        else:
            self.send_error(404)

    def do_DELETE(self) -> None:
        del self.server.recurring[self.path.rpartition("/")[2]]
        self.answer({})


class Login(Handler):
    """A gateway that answers everything with a page."""

    def do_GET(self) -> None:
        self.answer("<!doctype html><title>Log in to Your Account</title>", kind="text/html")


class Refusing(Handler):
    """A gateway that wants a token."""

    def do_GET(self) -> None:
        self.answer({"error": "unauthenticated"}, status=401)


@contextlib.contextmanager
def serve(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[Kubeflow]:
    """Runs the server until the context ends."""
    with Kubeflow(handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
