"""kill -9 of Triton, or of a process of its models, in mid-run: the run waits until it is back, and loses nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs
import pytest
from depots import SECOND, Depot
from nights import Night, bytes_of
from processes import find, kill_9
from proxy import at_once

from stmae.serving.triton.launcher import EmbeddedTriton


@pytest.fixture
def own_triton(triton_server: Any, triton_runtime: Path) -> Iterator[EmbeddedTriton]:
    """A server of the test's own, which it may kill."""
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        yield server


MODEL = pytest.mark.fault("kill -9 of Triton's model process")


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param("", marks=pytest.mark.fault("kill -9 of Triton"), id="triton"),
        pytest.param("tiny_encode_0_0", marks=MODEL, id="encode"),
        pytest.param("psnr_0_0", marks=[MODEL, pytest.mark.slow], id="psnr"),
    ],
)
def test_a_server_that_is_killed_comes_back_and_the_run_completes(
    own_triton: EmbeddedTriton,
    night: Night,
    depot: Depot,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    victim: str,
) -> None:
    pid = find(own_triton.process.pid, victim) if victim else own_triton.process.pid
    depot.proxy.spoil(f"GET /.*{SECOND}", at_once(lambda: kill_9(pid)), times=1)
    unlucky = dataclasses.replace(night, server_url=own_triton.grpc_url)
    assert jobs.run(unlucky, depot.site, tmp_path) == 0
    assert "it is started anew" in caplog.text
    assert bytes_of(tmp_path) == undisturbed
