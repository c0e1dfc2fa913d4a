"""One small run of the real pipeline, shared by all tests that look at what it made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from runs import ROOT, Run, run_pipeline, small

sys.path.append(str(Path(__file__).parents[1] / "batch"))

from buckets import bucket, s3, s3_environment

__all__ = ["bucket", "finished", "s3", "s3_environment"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole pipeline on a few seconds of synthetic footage."""
    if not (ROOT / ".triton" / "runtime").exists():
        pytest.fail("no embedded Triton runtime in .triton; `make setup` sets it up", pytrace=False)
    run = run_pipeline(tmp_path_factory.mktemp("workspace"), *small())
    assert run.returncode == 0, run.stderr
    return run
