"""An embedded Triton whose processes are killed: it comes back by itself, and no answer is wrong."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from stmae.cli import main
from stmae.serving.client import Client
from stmae.serving.triton.launcher import EmbeddedTriton

RECOVERY_SECONDS = 10.0


def model_process(server: EmbeddedTriton, model: str) -> int:
    """Returns the process of a model."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == server.process.pid and f"{model}_0_0".encode() in command:
            return int(path.name)
    raise AssertionError(f"no process of {model}")


def shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("triton_*_shm_region_*")}


@pytest.mark.fault("kill -9 of Triton's model process")
@pytest.mark.parametrize("victim", ["triton", "flow", "tiny_encode"])
def test_what_was_killed_is_back_within_ten_seconds(triton_server, triton_runtime, film, victim):
    before = shared_memory()
    frames = film(16, 64)
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        first = server.process.pid
        with Client(server.grpc_url, "tiny", patience_seconds=RECOVERY_SECONDS) as client:
            expected = client.score_segment(frames)
            os.kill(first if victim == "triton" else model_process(server, victim), signal.SIGKILL)
            scores = client.score_segment(frames)
            assert client.repeats
        assert server.failure is None
        assert server.process.pid != first
        np.testing.assert_array_equal(scores.psnr, expected.psnr)
    assert shared_memory() <= before


def test_a_server_that_dies_again_and_again_is_given_up(triton_server, triton_runtime, caplog):
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        for _ in range(6):
            pid = server.process.pid
            os.kill(pid, signal.SIGKILL)
            while server.process.pid == pid and server.failure is None:
                time.sleep(0.05)
        assert "not started anew any more" in str(server.failure)
    assert caplog.text.count("it is started anew") == 5


def test_a_probe_is_an_inference(triton_server, capsys):
    url = triton_server.grpc_url
    assert main(["probe", url, "tiny"]) == 0
    assert re.fullmatch(r"tiny answers after \d+ ms\n", capsys.readouterr().out)
    assert main(["probe", url, "tiny", "nobody"]) == 1
    assert "'nobody' is not served there" in capsys.readouterr().err
    assert main(["probe", "127.0.0.1:9", "tiny"]) == 1
    assert "no Triton answers" in capsys.readouterr().err
