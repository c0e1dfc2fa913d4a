"""The pod of Triton as `overlays/local` describes it, with processes of this machine: what its probes hear."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rendering import expanded, rendered
from tiny import TinyExport

from k8s.check.pods import Pod, pods
from stmae.serving import models
from stmae.serving.models.control import Control
from stmae.serving.models.sidecar import Sidecar, health_server, serve_models
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.ports import Ports
from stmae.storage import open_store


@functools.cache
def described() -> Pod:
    (found,) = (each for each in pods(rendered("local")) if each.labels["app.kubernetes.io/name"] == "triton")
    return found


def container(name: str) -> dict[str, Any]:
    return next(each.body for each in described().containers() if each.name == name)


def keys(folder: Path) -> tuple[Path, Path]:
    """Returns the files of a private key and of its public one."""
    made = ec.generate_private_key(ec.SECP256R1())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private, public = folder / "private.pem", folder / "key.pem"
    private.write_bytes(made.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(made.public_key().public_bytes(encoding, form))
    return private, public


@pytest.fixture(scope="module")
def pod(
    triton_runtime: Path, tiny_export: TinyExport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address at which the sidecar answers, and Triton's process."""
    folder = tmp_path_factory.mktemp("pod")
    private, public = keys(folder)
    store, repository, ports = folder / "store", folder / "models", Ports.free()
    records = {"parity": {"fp32": {}}}
    added = models.add(open_store(str(store)), tiny_export.folder, tiny_export.fitted, records, private)
    models.promote(open_store(str(store)), added.deployment, added.version)

    def here(name: str) -> list[str]:
        """Returns what a container is called with, with the places of this machine for those of the pod."""
        words = expanded(container(name)["args"], container(name))
        places = {"s3://cctv/models": store, "/trust/key.pem": public, "8001": ports.grpc, "8000": ports.http}
        places |= {"8002": ports.metrics}
        words = [str(repository) if word == "/models" else word.replace("=/models", f"={repository}") for word in words]
        for there, place in places.items():
            words = [word.replace(there, str(place)) for word in words]
        return words

    subprocess.run([sys.executable, "-m", "stmae", *here("sync")], check=True)
    found = runtimes.locate(triton_runtime)
    loopback = [f"--{way}-address=127.0.0.1" for way in ("http", "grpc", "metrics")]
    environment = os.environ | {
        "PATH": f"{found.python.parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(map(str, found.library_path)),
    }
    command = [found.server, *here("triton"), *loopback, f"--backend-directory={found.backends}"]
    with (folder / "log").open("wb") as log:
        triton = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    over = threading.Event()
    with Control(f"127.0.0.1:{ports.grpc}") as control:
        sidecar = Sidecar(open_store(str(store)), repository, control, public, fresh_seconds=0.0)
        health: ThreadingHTTPServer = health_server(sidecar, 0, "127.0.0.1")
        thread = threading.Thread(
            target=serve_models, kwargs={"sidecar": sidecar, "every_seconds": 1, "health": health, "wait": over.wait}
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{health.server_address[1]}", triton
        finally:
            over.set()
            thread.join()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(triton.pid, signal.SIGKILL)
            triton.wait()


def ask(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def probe(name: str) -> str:
    """Returns the path that a probe of the container `triton` asks for."""
    return str(container("triton")[name]["httpGet"]["path"])


def test_the_pod_becomes_ready_tells_of_a_dead_server_and_ends_in_time(
    pod: tuple[str, subprocess.Popen[bytes]],
) -> None:
    sidecar, triton = pod
    # The sidecar starts before Triton: it is probed by what needs no Triton.
    assert ask(sidecar + str(container("models")["livenessProbe"]["httpGet"]["path"])) == 200
    patience = time.monotonic() + 120
    while ask(sidecar + probe("startupProbe")) != 200:
        assert triton.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.2)
    assert ask(sidecar + probe("readinessProbe")) == ask(sidecar + probe("livenessProbe")) == 200
    triton.terminate()
    assert triton.wait(described().spec["terminationGracePeriodSeconds"]) == 0
    assert ask(sidecar + probe("readinessProbe")) == ask(sidecar + probe("livenessProbe")) == 503
    assert ask(sidecar + str(container("models")["livenessProbe"]["httpGet"]["path"])) == 200
