"""The image of the model server: no code of a model repository runs in it.

NVIDIA's image is not to be had everywhere. Its place takes one with the embedded server, which is of the same release,
in the same folders: it proves what the Dockerfile does to its base, and not that NVIDIA's native backend loads.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import Containers
from swift import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = """
FROM {base}
COPY server /opt/tritonserver
COPY libraries /opt/libraries
RUN mkdir /opt/tritonserver/backends/onnxruntime \
    && touch /opt/tritonserver/backends/onnxruntime/libtriton_onnxruntime.so
ENV LD_LIBRARY_PATH=/opt/libraries
"""
PYTHON_MODEL = """
name: "evil"
backend: "python"
max_batch_size: 0
input [{ name: "X" data_type: TYPE_FP32 dims: [1] }]
output [{ name: "Y" data_type: TYPE_FP32 dims: [1] }]
"""
CODE = """
import triton_python_backend_utils as pb_utils
open("/models/ran", "w")
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""


@pytest.fixture(scope="module")
def triton_base(containers: Containers, base: str, triton_runtime: Path) -> str:
    (wheel,) = triton_runtime.glob("lib/python*/site-packages/pytriton/tritonserver")
    context = containers.folder / "triton"
    shutil.copytree(wheel, context / "server")
    shutil.copytree(wheel.parents[1] / "nvidia_pytriton.libs", context / "libraries")
    stub = context / "server/python_backend_stubs/3.11/triton_python_backend_stub"
    shutil.copy(stub, context / "server/backends/python")
    (context / "Dockerfile").write_text(RECIPE.format(base=base))
    containers.run("buildah", "build", "--quiet", "--tag=localhost/tritonserver", str(context))
    shutil.rmtree(context)
    return containers.push("tritonserver")


@pytest.fixture(scope="module")
def triton_image(containers: Containers, digests_file: Path, triton_base: str) -> str:
    return containers.build("triton", f"TRITON_BASE={triton_base}", digests_file)


@contextlib.contextmanager
def serving(containers: Containers, image: str, models: Path, *options: str) -> Iterator[str]:
    """Runs a server of an image over a repository as user 65532; gives its HTTP address."""
    http, grpc, metrics = free_ports(3)
    ports = [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"]
    ports += [f"--{each}-address=127.0.0.1" for each in ("http", "grpc", "metrics")]
    name = f"stmae-test-{http}"
    containers.run(
        *("podman", "run", "--detach", f"--name={name}", "--read-only", "--network=host", "--user=65532:65532"),
        *("--shm-size=512m", f"--volume={models}:/models", *options, image, "--model-repository=/models"),
        *("--model-control-mode=explicit", "--backend-directory=/opt/tritonserver/backends", *ports),
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{http}/v2/health/ready"):
                break
            assert time.monotonic() < deadline, containers.run("podman", "logs", name)
            time.sleep(0.2)
        yield f"http://127.0.0.1:{http}"
    finally:
        containers.run("podman", "rm", "--force", "--time=5", name)


def load(address: str, model: str) -> str:
    """Asks a server to load a model and returns what it complains of, nothing where it loads."""
    request = urllib.request.Request(f"{address}/v2/repository/models/{model}/load", b"{}", method="POST")
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return ""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model repository with a model that is Python code, and that the server may write to."""
    (tmp_path / "evil/1").mkdir(parents=True)
    (tmp_path / "evil/config.pbtxt").write_text(PYTHON_MODEL)
    (tmp_path / "evil/1/model.py").write_text(CODE)
    subprocess.run(["chmod", "-R", "a+rwX", tmp_path], check=True)
    return tmp_path


def test_code_in_a_model_repository_is_not_run(containers: Containers, triton_image: str, models: Path) -> None:
    with serving(containers, triton_image, models) as address:
        assert "unable to find backend library for backend 'python'" in load(address, "evil")
    assert not (models / "ran").exists()


def test_the_base_has_the_backend_that_would_run_it(containers: Containers, triton_base: str, models: Path) -> None:
    server = "--entrypoint=/opt/tritonserver/bin/tritonserver"
    with serving(containers, triton_base, models, server) as address:
        complaint = load(address, "evil")
    assert "ModuleNotFoundError" in complaint  # a Python process was started for it, and lacks NumPy in this base


def test_it_has_one_backend_and_no_rights(containers: Containers, triton_image: str) -> None:
    assert containers.container(triton_image, "/opt/tritonserver/backends", entry="ls").split() == ["onnxruntime"]
    assert containers.container(triton_image, "-u", entry="id").strip() == "65532"
