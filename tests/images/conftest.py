from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))

from containers import Containers, missing, python_base, serve
from nights import archive, night

from k8s.images.build import OUT

__all__ = ["archive", "night"]


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    if lacking := missing():
        pytest.skip(f"not installed: {', '.join(lacking)} (`make images-check` installs them; Debian, root)")
    folder = OUT / "check"
    folder.mkdir(parents=True, exist_ok=True)
    with serve(folder) as tools:
        yield tools


@pytest.fixture(scope="session")
def base(containers: Containers) -> str:
    """Debian 12 with Python 3.11, NAME@DIGEST."""
    return python_base(containers)


@pytest.fixture(scope="session")
def digests_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digests") / "kustomization.yaml"


@pytest.fixture(scope="session")
def batch_image(containers: Containers, digests_file: Path, base: str) -> str:
    return containers.build("batch", f"PYTHON_BASE={base}", digests_file)
