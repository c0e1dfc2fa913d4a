"""The account of faults: what `make test-faults` writes, and what becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TESTS = """
import pytest

@pytest.mark.fault("a flood")
@pytest.mark.parametrize("depth", [1, 2])
def test_it_swims(depth): pass

@pytest.mark.parametrize("how", [pytest.param(n, marks=pytest.mark.fault(f"fire {n}")) for n in (1, 2)])
def test_it_burns(how): assert how == 1

@pytest.mark.fault("a frost")
def test_it_freezes(): pytest.skip("too warm")

@pytest.fixture
def broken(): raise OSError

@pytest.mark.fault("a storm")
def test_it_blows(broken): pass

@pytest.mark.fault("a storm")
def test_it_blows_over(): pass
"""
ACCOUNT = {
    "tried": 4,
    "survived": 2,
    "faults": {
        "a flood": "survived",
        "a storm": "failed: test_weather.py::test_it_blows",
        "fire 1": "survived",
        "fire 2": "failed: test_weather.py::test_it_burns[2]",
    },
}


def test_a_fault_is_survived_when_no_test_that_causes_it_fails(tmp_path: Path) -> None:
    (tmp_path / "test_weather.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  fault(name): the fault that a test causes\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "ledger", "--strict-markers", "--faults-out", "work/faults.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 faults tried, 2 survived" in run.stdout
    assert json.loads((tmp_path / "work/faults.json").read_text()) == ACCOUNT


def test_the_account_becomes_a_results_file(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text(json.dumps(ACCOUNT))
    command = [sys.executable, "benchmarks/record.py", "faults", str(tmp_path / "faults.json")]
    command += ["--out", str(tmp_path), "--command", "make test-faults"]
    subprocess.run(command, cwd=HERE.parents[1], check=True)
    result = json.loads((tmp_path / "faults.json").read_text())
    assert (result["name"], result["command"]) == ("faults", "make test-faults")
    assert result["figures"] == {"tried": 4, "survived": 2, **ACCOUNT["faults"]}
