"""A server that is told to end answers what is under way, refuses what comes after, and does not wait for ever."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stmae.serving.client import Client, ServingError
from stmae.serving.triton import launcher
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.serving.triton.ports import HOST, Ports

CLIENTS = 4


def ask(ports: Ports, frames: Any) -> int:
    """Returns how many frames got scores."""
    with Client(f"{HOST}:{ports.grpc}", "tiny") as client:
        return len(client.score_segment(frames))


def refusal(ports: Ports, frames: Any) -> ServingError:
    """Returns how the first request is refused that is."""
    while True:
        try:
            ask(ports, frames)
        except ServingError as error:
            return error


def under_way(clients: ThreadPoolExecutor, ports: Ports, frames: Any) -> list[Future[int]]:
    """Returns requests that the server has got: one is computed, the others wait."""
    asked = [clients.submit(ask, ports, frames) for _ in range(CLIENTS)]
    waiting = f'nv_inference_pending_request_count{{model="flow",version="1"}} {CLIENTS - 1}'
    while waiting not in metrics(ports):
        assert not any(each.done() for each in asked)
        time.sleep(0.01)
    return asked


def metrics(ports: Ports) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{ports.metrics}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_what_is_under_way_at_a_sigterm_is_answered_and_what_comes_after_is_refused(
    triton_server: Any, triton_runtime: Path, film: Any
) -> None:
    frames, ports = film(60, 64), Ports.free()
    numbers = [f"--http-port={ports.http}", f"--grpc-port={ports.grpc}", f"--metrics-port={ports.metrics}"]
    places = [f"--repository={triton_server.repository}", f"--runtime={triton_runtime}"]
    command = [sys.executable, "-m", "stmae", "serve", *places, *numbers]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        try:
            assert server.stderr is not None
            assert server.stderr.readline() == "Triton serves tiny\n"
            asked = under_way(clients, ports, frames)
            server.terminate()
            while "at most 60 s" not in server.stderr.readline():
                pass
            assert refusal(ports, frames[:5]).cause == "unavailable"
            assert [each.result() for each in asked] == [56] * CLIENTS
            assert server.wait(30) == 0
            assert server.stderr.read() == "Triton has ended\n"
        finally:
            server.kill()
    with pytest.raises(ServingError, match="no Triton answers"):
        ask(ports, frames)


def test_the_wait_for_what_is_under_way_has_an_end(
    triton_server: Any, triton_runtime: Path, film: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(launcher, "DRAIN_SECONDS", 0.2)
    frames = film(60, 64)
    with ThreadPoolExecutor(CLIENTS) as clients:
        with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
            asked = under_way(clients, server.ports, frames)
        failed = [each.exception() for each in asked]
    assert {each.cause for each in failed if isinstance(each, ServingError)} == {"unavailable"}
    assert re.search(r"model tiny still answers after 0\.2 s; .* under way gets no answer", caplog.text)


def test_nobody_else_loads_or_unloads_its_models(triton_server: Any) -> None:
    for order in ("repository/models/tiny/unload", "repository/models/tiny/load", "repository/index"):
        request = urllib.request.Request(f"{triton_server.server.http_url}/v2/{order}", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)
