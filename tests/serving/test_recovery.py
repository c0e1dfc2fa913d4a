"""An embedded Triton whose processes are killed: it comes back by itself, and no answer is wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from processes import find, kill_9

from stmae.cli import main
from stmae.serving.client import Client
from stmae.serving.triton.launcher import EmbeddedTriton

RECOVERY_SECONDS = 10.0


def shared_memory(pid: int) -> set[Path]:
    """Returns the regions that a server shares with the processes of its models."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line[line.index("/") :]) for line in lines if "_shm_region_" in line}


@pytest.mark.fault("kill -9 of Triton's model process")
@pytest.mark.parametrize("victim", ["triton", "flow", "tiny_encode"])
def test_what_was_killed_is_back_within_ten_seconds(triton_server, triton_runtime, film, victim):
    frames = film(16, 64)
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        first = server.process.pid
        shared = shared_memory(first)
        with Client(server.grpc_url, "tiny", patience_seconds=RECOVERY_SECONDS) as client:
            expected = client.score_segment(frames)
            kill_9(first if victim == "triton" else find(first, f"{victim}_0_0"))
            scores = client.score_segment(frames)
            assert client.repeats
        assert server.failure is None
        assert server.process.pid != first
        shared |= shared_memory(server.process.pid)
        np.testing.assert_array_equal(scores.psnr, expected.psnr)
    assert len(shared) > 4
    assert not [region for region in shared if region.exists()]


def test_a_server_that_dies_again_and_again_is_given_up(triton_server, triton_runtime, caplog):
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        for _ in range(6):
            pid = server.process.pid
            kill_9(pid)
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
