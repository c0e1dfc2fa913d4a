"""A server whose administration needs a key: it scores for everybody, and only who has the key loads and unloads."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc as triton

from stmae.serving.client import Client, ServingError
from stmae.serving.models.control import ADMIN, Control
from stmae.serving.triton.launcher import EmbeddedTriton

KEY = "a-key-of-the-tests"
ADMINISTRATION = "model-repository,shared-memory,trace,logging"
"""What is restricted: everything that changes the server."""
HEADER = "triton-grpc-protocol-admin"


@pytest.fixture(scope="module")
def restricted(triton_server: Any, triton_runtime: Path) -> Iterator[EmbeddedTriton]:
    options = [
        f"--grpc-restricted-protocol={ADMINISTRATION}:admin={KEY}",
        f"--http-restricted-api={ADMINISTRATION}:admin={KEY}",
    ]
    repository = triton_server.repository
    with EmbeddedTriton(repository, runtime=triton_runtime, control=True, options=options) as server:
        yield server


def post(server: EmbeddedTriton, path: str, body: dict[str, Any] | None = None, **headers: str) -> int:
    """Returns the status of a request over HTTP."""
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(f"{server.http_url}/v2/{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_scoring_needs_no_key(restricted: EmbeddedTriton, film: Any) -> None:
    with Client(restricted.grpc_url, "tiny") as client:
        assert client.describe().name == "tiny"
        assert len(client.score_segment(film(9, 64))) == 5


@pytest.mark.parametrize("value", ["", f"{HEADER}=another"])
def test_models_are_not_loaded_or_unloaded_without_the_key(
    restricted: EmbeddedTriton, film: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(ADMIN, value)
    with Control(restricted.grpc_url) as control:
        for change in (control.unload, control.load):
            with pytest.raises(ServingError, match="restricted"):
                change("tiny")
    for verb in ("load", "unload"):
        assert post(restricted, f"repository/models/tiny/{verb}") == 403
        assert post(restricted, f"repository/models/tiny/{verb}", admin="another") == 403
    assert post(restricted, "repository/index") == 403
    with Client(restricted.grpc_url, "tiny") as client:
        assert len(client.score_segment(film(9, 64))) == 5


def test_the_rest_of_the_administration_is_refused_too(restricted: EmbeddedTriton) -> None:
    with triton.InferenceServerClient(restricted.grpc_url) as client:
        for ask in (
            client.get_model_repository_index,
            client.get_trace_settings,
            client.get_log_settings,
            client.get_system_shared_memory_status,
            lambda: client.register_system_shared_memory("mine", "/mine", 64),
        ):
            with pytest.raises(triton.InferenceServerException, match="restricted"):
                ask()
    assert post(restricted, "logging", {"log_verbose_level": 1}) == 403
    assert post(restricted, "trace/setting", {"trace_level": ["TENSORS"]}) == 403


def test_with_the_key_models_are_loaded(restricted: EmbeddedTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADMIN, f"{HEADER}={KEY}")
    with Control(restricted.grpc_url) as control:
        control.unload("tiny")
        with Client(restricted.grpc_url, "tiny") as client, pytest.raises(ServingError):
            client.describe()
        control.load("tiny")
        control.infer("tiny")
