"""Starting and ending the embedded Triton, and what keeps it from starting."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import EmbeddedTriton, LauncherError
from stmae.serving.triton.ports import Ports

ROOT = Path(__file__).resolve().parents[2]


def test_a_running_server_listens_on_the_loopback_interface_only(triton_server):
    ports = triton_server.server.ports
    wanted = {f"{port:04X}" for port in (ports.http, ports.grpc, ports.metrics)}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]

    sockets = [row[1].split(":") for row in listening if row[3] == "0A"]
    addresses = {address for address, port in sockets if port in wanted}

    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, ::ffff:127.0.0.1


def test_a_running_server_gives_metrics(triton_server):
    with urllib.request.urlopen(triton_server.server.metrics_url, timeout=10) as answer:
        assert b'nv_inference_request_success{model="tiny"' in answer.read()


def test_nothing_is_left_after_the_server_has_ended(triton_runtime, triton_server):
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:
        group = server.process.pid
        assert len(members(group)) >= 5  # the server and its four models

    assert members(group) == []
    assert not server.log.exists()


def test_the_server_ends_with_the_program_that_started_it(triton_runtime, triton_server):
    code = (
        "import sys, time; from pathlib import Path; from stmae.serving.triton.launcher import EmbeddedTriton\n"
        "with EmbeddedTriton(Path(sys.argv[1]), runtime=Path(sys.argv[2])) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(triton_server.repository), str(triton_runtime)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: members(group) == [], seconds=20)


def test_a_foreground_server_ends_with_an_interrupt(triton_runtime, triton_server):
    ports = Ports.free()
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from stmae.serving.triton.launcher import serve\n"
        "from stmae.serving.triton.ports import Ports\n"
        # A shell ignores interrupts in background jobs, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "serve(Path(sys.argv[1]), Path(sys.argv[2]), Ports(*map(int, sys.argv[3:])))"
    )
    numbers = [str(port) for port in (ports.http, ports.grpc, ports.metrics)]
    command = [sys.executable, "-c", code, str(triton_server.repository), str(triton_runtime), *numbers]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stderr.readline() == "Triton serves tiny\n"
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
            assert server.stderr.read().endswith("Triton has ended\n")
        finally:
            server.kill()


def test_a_port_in_use_is_told_by_its_number(triton_runtime, triton_server):
    free = Ports.free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free.grpc))
        taken.listen()
        with (
            pytest.raises(LauncherError, match=rf"port {free.grpc} \(grpc\) is in use: .* --grpc-port"),
            EmbeddedTriton(triton_server.repository, free, triton_runtime),
        ):
            pass


def test_a_missing_environment_is_told_with_its_mend(triton_server, tmp_path):
    with (
        pytest.raises(LauncherError, match=r"no Triton environment there; .*make setup"),
        EmbeddedTriton(triton_server.repository, runtime=tmp_path / ".triton"),
    ):
        pass


@pytest.fixture
def environment_with_numpy_2(triton_runtime, tmp_path):
    """Returns an environment whose interpreter sees the real one's packages, and the metadata of NumPy 2."""
    environment = tmp_path / ".triton"
    metadata = tmp_path / "newer" / "numpy-2.4.6.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.4.6\n")
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{metadata.parent}" exec "{triton_runtime.absolute()}/bin/python" "$@"\n')
    python.chmod(0o755)
    return environment


def test_numpy_2_is_refused_when_the_runtime_is_assembled(environment_with_numpy_2):
    with pytest.raises(runtimes.RuntimeFolderError, match=r"NumPy 2\.4\.6.*wrong tensors.*numpy==1\.26\.4"):
        runtimes.assemble(environment_with_numpy_2)

    assert runtimes.main([str(environment_with_numpy_2)]) == 1


def test_numpy_2_is_refused_when_the_server_is_started(environment_with_numpy_2, triton_server):
    with (
        pytest.raises(LauncherError, match=r"NumPy 2\.4\.6.*wrong tensors"),
        EmbeddedTriton(triton_server.repository, runtime=environment_with_numpy_2),
    ):
        pass


def test_a_repository_without_weights_is_told_with_its_mend(triton_runtime):
    with (
        pytest.raises(LauncherError, match=r"model\.onnx: no such file.*`make model-repository`"),
        EmbeddedTriton(bare(ROOT / "model_repository"), runtime=triton_runtime),
    ):
        pass


def bare(repository: Path) -> Path:
    assert not list(repository.glob("*/1/model.onnx")), f"{repository} is for texts alone: remove the weights"
    return repository


def test_an_empty_folder_is_not_a_repository(triton_runtime, tmp_path):
    with (
        pytest.raises(LauncherError, match="holds no model"),
        EmbeddedTriton(tmp_path, runtime=triton_runtime),
    ):
        pass


def test_a_model_that_does_not_load_is_told_with_the_end_of_the_log(triton_runtime, triton_server, tmp_path):
    repository = tmp_path / "model_repository"
    shutil.copytree(triton_server.repository, repository)
    (repository / "tiny_decode" / "1" / "model.onnx").write_bytes(b"not a model")

    with (
        pytest.raises(LauncherError, match=r"(?s)status \d+ while loading .*tiny_decode.*Unable to read the model"),
        EmbeddedTriton(repository, runtime=triton_runtime, log=tmp_path / "triton.log"),
    ):
        pass


def members(group: int) -> list[int]:
    """Returns the processes of a process group that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(pgrp) == group and state != "Z":
                found.append(int(entry.name))
    return found


def wait_until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        os.sched_yield()
        time.sleep(0.05)
