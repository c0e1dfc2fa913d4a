"""Fixtures shared by the tests of serving, batch and pipelines: a real Triton over a small model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stmae import config as configs
from stmae.config import Config
from stmae.export.repository import write_repository
from stmae.score import Calibration
from stmae.serving import runtime as runtimes
from stmae.serving.launcher import EmbeddedTriton

ROOT = Path(__file__).resolve().parents[1]
TINY = ["name=tiny", "model.size=64", "model.width=8", "model.memory_items=8", "serve.segment_frames=16"]


@dataclasses.dataclass(frozen=True)
class TinyExport:
    """A small model with random weights, exported, and a calibration to go with it."""

    folder: Path
    config: Config
    calibration: Path


@dataclasses.dataclass(frozen=True)
class ServedTiny:
    """A running Triton that serves the deployment `tiny`."""

    grpc_url: str
    deployment: str
    repository: Path
    calibration: Path
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
    torch = pytest.importorskip("torch")
    # Imported here: most test sessions of one file need no torch.
    from stmae.export import onnx
    from stmae.model.build import build_stmae

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_stmae(tiny_config).eval()
        # An untrained decoder predicts plain grey, whatever it sees: make its output depend on its input.
        model.decoder.output.weight.data *= 20
    folder = tmp_path_factory.mktemp("tiny") / "export"
    onnx.export(tiny_config, model, folder, moving_blobs(7, tiny_config.model.size))
    calibration = folder.parent / "calibration.json"
    calibration.write_text(
        Calibration(
            median=12.0,
            spread=1.0,
            enter=3.0,
            exit=2.0,
            smoothing_seconds=0.2,
            min_seconds=0.1,
            merge_seconds=0.5,
            frames=100,
        ).to_json()
    )
    return TinyExport(folder, tiny_config, calibration)


@pytest.fixture(scope="session")
def triton_server(
    triton_runtime: Path, tiny_export: TinyExport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedTiny]:
    repository = tmp_path_factory.mktemp("served") / "model_repository"
    write_repository(tiny_export.folder, repository)
    with EmbeddedTriton(repository, runtime=triton_runtime) as server:
        yield ServedTiny(server.grpc_url, "tiny", repository, tiny_export.calibration, server)


@pytest.fixture(scope="session")
def film() -> Callable[..., np.ndarray]:
    """`film(frames, size, seed=0)`: see moving_blobs."""
    return moving_blobs


def moving_blobs(frames: int, size: int, seed: int = 0) -> np.ndarray:
    """A textured scene with a few bright blobs that move, uint8 [frames,size,size,3]."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(60, 120, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1)
    rows, columns = np.mgrid[:size, :size]
    film = np.repeat(ground[None].astype(np.float64), frames, 0)
    for _ in range(3):
        (top, left), (down, right) = generator.uniform(0, size, 2), generator.uniform(-2, 2, 2)
        for index in range(frames):
            y, x = (top + down * index) % size, (left + right * index) % size
            film[index] += 100 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / size)[..., None]
    return np.clip(film + generator.normal(0, 3, film.shape), 0, 255).astype(np.uint8)
