"""What a client does when a server is away, busy, or one of several, and how frames get to a server near by."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from stmae.serving import shared_frames
from stmae.serving.client import Client, ServingError
from stmae.serving.triton.launcher import EmbeddedTriton


@pytest.fixture(scope="module")
def server(triton_server, triton_runtime):
    """A server of these tests' own, which they may kill."""
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        yield server


def regions(client: Client) -> list[str]:
    """Returns the names of the shared memory that clients of a server have lent it."""
    with triton.InferenceServerClient(client.url) as asked:
        return sorted(asked.get_system_shared_memory_status().regions)


@pytest.mark.fault("kill -9 of Triton under load")
def test_every_request_is_answered_rightly_though_the_server_is_killed(server, film):
    segments = [film(16, 64, seed=number) for number in range(24)]
    with Client(server.grpc_url, "tiny", patience_seconds=30.0) as client:
        expected = [client.score_segment(segment) for segment in segments]
        threading.Timer(0.2, lambda: os.kill(server.process.pid, signal.SIGKILL)).start()
        answered = []
        while not client.repeats:
            answered = list(client.score_stream(segments))
        for scores, right in zip(answered, expected, strict=True):
            np.testing.assert_array_equal(scores.psnr, right.psnr)
            np.testing.assert_array_equal(scores.flow_tiles, right.flow_tiles)


def test_patience_ends():
    with Client("127.0.0.1:9", "tiny", patience_seconds=1.0) as client:
        began = time.monotonic()
        with pytest.raises(ServingError, match="no Triton answers"):
            client.describe()
        assert 0.9 < time.monotonic() - began < 10
        assert client.repeats > 1


def test_what_is_asked_wrongly_is_asked_once(triton_server, film):
    with Client(triton_server.grpc_url, "nobody", patience_seconds=30.0) as client:
        with pytest.raises(ServingError, match="is not served there"):
            client.score_segment(film(5, 64))
        assert client.repeats == 0


def test_a_server_refuses_what_it_cannot_hold_and_a_patient_client_loses_nothing(triton_server, film):
    segment, refused = film(64, 64), []

    def ask(patience: float) -> Any:
        with Client(triton_server.grpc_url, "tiny", patience_seconds=patience) as client:
            try:
                return client.score_segment(segment).psnr
            except ServingError as error:
                refused.append(error)
                return None

    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(ask, [0.0] * 32))
        assert {error.cause for error in refused} == {"busy"}
        assert "as many requests waiting as it takes" in str(refused[0])
        patient = list(clients.map(ask, [60.0] * 32))
    (right, *others) = [answer for answer in answers if answer is not None] + patient
    assert all(np.array_equal(right, other) for other in others), "one that was lost would be None"


def test_several_servers_are_asked_in_turn_and_one_that_is_away_is_passed_over(server, triton_server, film):
    segment = film(16, 64)
    with Client(f"{server.grpc_url},{triton_server.grpc_url}", "tiny") as client:
        before = [served(each) for each in (server, triton_server.server)]
        assert client.describe().name == "tiny"
        for _ in range(6):
            client.score_segment(segment)
        assert [served(each) - then for each, then in zip((server, triton_server.server), before, strict=True)] == [
            3,
            3,
        ]
    with Client(f"127.0.0.1:9,{triton_server.grpc_url}", "tiny", patience_seconds=10.0) as client:
        assert client.describe().name == "tiny"
        for _ in range(6):
            client.score_segment(segment)
        assert client.repeats <= 6


def served(server: EmbeddedTriton) -> int:
    """Returns how many requests the deployment of a server has answered."""
    with urllib.request.urlopen(server.metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith('nv_inference_request_success{model="tiny",')]
    return int(float(line.rpartition(" ")[2]))


def test_frames_are_lent_to_a_server_on_this_machine_and_nothing_of_it_is_left(server, film):
    segments = [film(length, 64, seed=length) for length in (16, 5, 30, 7)]
    left = set(Path("/dev/shm").glob("stmae-*"))
    with Client(server.grpc_url, "tiny") as client:
        lent = list(client.score_stream(segments))
        assert regions(client)
        assert set(Path("/dev/shm").glob("stmae-*")) == left, "a region has no name once it is mapped"
    assert not regions(client)
    assert [len(scores) for scores in lent] == [12, 1, 26, 3]


def test_frames_are_sent_where_there_is_no_room_to_lend_them(server, film, monkeypatch, caplog):
    def full(file: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    segment = film(16, 64)
    with Client(server.grpc_url, "tiny") as client:
        lent = client.score_segment(segment)
    monkeypatch.setattr(shared_frames.os, "posix_fallocate", full)
    with Client(server.grpc_url, "tiny") as client:
        sent = client.score_segment(segment)
        assert not regions(client)
    assert "/dev/shm is full: frames are sent" in caplog.text
    np.testing.assert_array_equal(lent.psnr, sent.psnr)


def test_what_a_killed_client_lent_is_freed_by_the_next_one(server, film):
    code = (
        "import os, signal, sys, numpy as np; from stmae.serving.client import Client\n"
        "client = Client(sys.argv[1], 'tiny'); client.score_segment(np.zeros((5, 64, 64, 3), np.uint8))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, server.grpc_url], check=False)
    with Client(server.grpc_url, "tiny") as client:
        (killed,) = regions(client)
        client.score_segment(film(5, 64))
        assert killed not in regions(client)
