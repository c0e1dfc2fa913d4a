"""Packaging: scoring never imports torch, and the command line answers without it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "module", ["batch.run", "batch.engines", "serving.client", "serving.publish", "report.night", "report.evaluation"]
)
def test_scoring_serving_and_reporting_never_import_torch(module: str) -> None:
    run = python(f"import sys; import stmae.{module}; sys.exit('torch' in sys.modules)")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("missing", ["torch", "boto3", "tritonclient", "kfp"])
def test_help_works_without_an_extra(missing: str) -> None:
    block = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['stmae', '--help']\n"
    run = python(block + "from stmae.cli import main; main()")
    assert run.returncode == 0, run.stderr
    assert "VERB" in run.stdout


def test_a_missing_extra_is_named() -> None:
    block = "import sys; sys.modules['torch'] = None; sys.argv = ['stmae', 'train-flow', '--steps', '1']\n"
    run = python(block + "from stmae.cli import main; sys.exit(main())")
    assert run.returncode == 1
    assert "stmae[train]" in run.stderr
