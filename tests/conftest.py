"""Fixtures shared by the tests of serving, batch and pipelines: a real Triton over a small model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from tiny import TINY, TinyExport, export_tiny, moving_blobs

from stmae import config as configs
from stmae.config import Config
from stmae.serving.repository import write_repository
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import EmbeddedTriton

# A machine that is busy fails no test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class ServedTiny:
    """A running Triton that serves the deployment `tiny`."""

    grpc_url: str
    deployment: str
    repository: Path
    server: EmbeddedTriton


@pytest.fixture(scope="session")
def triton_runtime() -> Path:
    """The embedded Triton's environment. It is required: its absence is a failure, not a skip."""
    environment = Path(os.environ.get("STMAE_TRITON", ROOT / ".triton"))
    try:
        runtimes.assemble(environment)
        runtimes.locate(environment)
    except runtimes.RuntimeFolderError as error:
        pytest.fail(f"{error} (`make test` does it)", pytrace=False)
    return environment


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    return configs.load("walkway", TINY)


@pytest.fixture(scope="session")
def tiny_export(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> TinyExport:
    return export_tiny(tiny_config, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def triton_server(
    triton_runtime: Path, tiny_export: TinyExport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedTiny]:
    repository = tmp_path_factory.mktemp("served") / "model_repository"
    write_repository(tiny_export.folder, repository)
    with EmbeddedTriton(repository, runtime=triton_runtime) as server:
        yield ServedTiny(server.grpc_url, "tiny", repository, server)


@pytest.fixture(scope="session")
def film() -> Callable[..., np.ndarray]:
    """`film(frames, size, seed=0)`: see moving_blobs."""
    return moving_blobs
