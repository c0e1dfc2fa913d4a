"""The process beside a Triton: it follows what is promoted, and says by inferences whether the server is alive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from stmae.serving.client import ServingError
from stmae.serving.models.control import Control
from stmae.serving.models.installation import installed, sync
from stmae.serving.models.signature import SignatureError
from stmae.serving.models.version import ModelsError
from stmae.serving.pbtxt import EMBEDDED, Accelerator
from stmae.serving.repository import find_deployments
from stmae.storage import Store, StoreError

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""So long the answer of an inference holds: probes of several kinds ask at the same time."""


class Sidecar:
    """Follows a models store and answers for the server. One thread calls `follow`, any number ask `trouble`."""

    def __init__(
        self,
        models: Store,
        repository: Path,
        server: Control,
        trust: Path | None = None,
        accelerator: Accelerator = EMBEDDED,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._fresh_seconds = fresh_seconds
        self._models, self._repository, self._server = models, repository, server
        self._trust, self._accelerator = trust, accelerator
        self._asking = threading.Lock()
        self._answer = (float("-inf"), "")
        self._told_nothing = False
        self._registry = CollectorRegistry()
        self._current = Gauge(
            "stmae_models_current_info",
            "The version that is served",
            ["deployment", "version"],
            registry=self._registry,
        )
        self._healthy = Gauge(
            "stmae_models_healthy", "Whether the last inference succeeded", ["deployment"], registry=self._registry
        )
        self._failures = Counter(
            "stmae_models_sync_failures", "Failed attempts to serve what is promoted", registry=self._registry
        )

    def follow(self) -> str:
        """Brings the server to what is promoted, once. Returns what went wrong, nothing where all is well."""
        try:
            promoted = sync(
                self._models,
                self._repository,
                trust=self._trust,
                accelerator=self._accelerator,
                server=self._server,
            )
        except (ModelsError, SignatureError, StoreError, ServingError) as error:
            self._failures.inc()
            log.error("what is promoted cannot be served: %s", error)
            return str(error)
        if not promoted and not self._told_nothing:
            log.warning("%s: nothing is promoted yet, so nothing is served; run `stmae promote`", self._models.uri(""))
        self._told_nothing = not promoted
        return ""

    def trouble(self) -> str:
        """Returns why the server is not alive, by an inference of each deployment; nothing where it is."""
        with self._asking:
            when, answer = self._answer
            if time.monotonic() - when > self._fresh_seconds:
                answer = "; ".join(filter(None, map(self._infer, self.deployments())))
                self._answer = (time.monotonic(), answer)
            return answer

    def deployments(self) -> list[str]:
        """Returns the deployments that are installed."""
        return find_deployments(self._repository)

    def metrics(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        self._current.clear()
        for deployment in self.deployments():
            self._current.labels(deployment, installed(self._repository, deployment)).set(1)
        return generate_latest(self._registry)

    def _infer(self, deployment: str) -> str:
        healthy = self._healthy.labels(deployment)
        try:
            self._server.infer(deployment)
        except ServingError as error:
            if error.cause != "busy":  # a server that refuses more work than it can hold is well
                healthy.set(0)
                return str(error)
        healthy.set(1)
        return ""


def health_server(sidecar: Sidecar, port: int, host: str = "0.0.0.0") -> ThreadingHTTPServer:
    """Returns a server of `/live` and `/ready` (200, or 503 with the reason) and `/metrics`; it is not started."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                return self._send(200, sidecar.metrics())
            if self.path not in ("/live", "/ready"):
                return self._send(404, b"ask for /live, /ready or /metrics\n")
            trouble = sidecar.trouble()
            if self.path == "/ready" and not sidecar.deployments():
                trouble = "nothing was promoted yet"
            return self._send(503 if trouble else 200, f"{trouble or 'ok'}\n".encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Probes are no news."""

    return ThreadingHTTPServer((host, port), Answer)


def serve_models(
    sidecar: Sidecar, *, every_seconds: float, health: ThreadingHTTPServer | None, wait: Callable[[float], bool]
) -> None:
    """Follows the store every few seconds until `wait(seconds)` says that it is over."""
    if health is not None:
        threading.Thread(target=health.serve_forever, daemon=True).start()
    try:
        sidecar.follow()
        while not wait(every_seconds):
            sidecar.follow()
    finally:
        if health is not None:
            health.shutdown()
            health.server_close()
