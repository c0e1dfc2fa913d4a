"""kill -9 of Triton, or of a process of its models, in mid-run: a clear end, no wrong row, and a rerun completes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs
import pytest
from depots import SECOND, Depot
from nights import Night, bytes_of, covered
from processes import find, kill_9
from proxy import at_once

from stmae.batch import worker
from stmae.serving.triton.launcher import EmbeddedTriton


@pytest.fixture
def own_triton(triton_server: Any, triton_runtime: Path) -> Iterator[EmbeddedTriton]:
    """A server of the test's own, which it may kill."""
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        yield server
        server.process.kill()  # one whose model is dead takes its time to end


MODEL = pytest.mark.fault("kill -9 of Triton's model process")


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        pytest.param("", "no Triton answers", marks=pytest.mark.fault("kill -9 of Triton"), id="triton"),
        pytest.param("tiny_encode_0_0", "'tiny_encode_0_0' is not healthy", marks=MODEL, id="encode"),
        pytest.param("psnr_0_0", "'psnr_0_0' is not healthy", marks=[MODEL, pytest.mark.slow], id="psnr"),
    ],
)
def test_a_server_that_is_killed_ends_the_run_and_another_completes_it(
    own_triton: EmbeddedTriton,
    night: Night,
    depot: Depot,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    victim: str,
    said: str,
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", (0.1, 0.1))
    pid = find(own_triton.process.pid, victim) if victim else own_triton.process.pid
    depot.proxy.spoil(f"GET /.*{SECOND}", at_once(lambda: kill_9(pid)), times=1)
    doomed = dataclasses.replace(night, server_url=own_triton.grpc_url)
    assert jobs.run(doomed, depot.site, tmp_path) == 1
    assert said in capsys.readouterr().err
    assert len(covered(tmp_path)) < 3
    assert jobs.run(night, depot.site, tmp_path) == 0
    assert bytes_of(tmp_path) == undisturbed
