"""Killed at any instant, a rerun ends with the tables of an undisturbed run, byte for byte."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nights import GOOD, Night, bytes_of, covered

KILL_AT_WRITE = """
import os, signal, sys
from pathlib import Path
from stmae.batch.run import score_archive
left, replace = int(sys.argv[1]), Path.replace

def replace_or_die(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = replace_or_die
score_archive(*sys.argv[2:])
"""
"""kill -9 when the n-th object lies written aside and is about to take its place."""


@pytest.mark.parametrize("write", [1, 3, 6, 9])
def test_a_rerun_after_kill_9_equals_an_undisturbed_run(
    write: int, night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    arguments = [str(archive), str(tmp_path), night.server_url, night.deployment]
    arguments += [str(night.fitted / f"{name}.json") for name in ("normality", "calibration")]
    killed = subprocess.run([sys.executable, "-c", KILL_AT_WRITE, str(write), *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    halfway = bytes_of(tmp_path)
    assert len(halfway) == write
    assert len([name for name in halfway if "/.writing-" in name]) == 1
    done = len(covered(tmp_path))
    summary = night.score(archive, tmp_path)
    assert summary.complete
    assert (summary.sources_done_before, summary.sources_scored) == (done, len(GOOD) - done)
    assert bytes_of(tmp_path) == bytes_of(scored)
