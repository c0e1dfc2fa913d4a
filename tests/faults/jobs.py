"""The nightly job as users start it: `stmae score` in this process, or as one that can be stopped and killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from nights import Night

from stmae.cli import main

AT_WRITE = """
import os, sys
from pathlib import Path
from stmae.batch import status
from stmae.cli import main
status.EVERY_SECONDS = 1e6
left, signum, replace = int(sys.argv[1]), int(sys.argv[2]), Path.replace

def signal_and_replace(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signum)
    return replace(self, target)

Path.replace = signal_and_replace
sys.exit(main(sys.argv[3:]))
"""
"""Gets a signal when the n-th file lies written aside and is about to take its place. The first is the status."""


def run(night: Night, archive: Path | str, tables: Path | str, *options: str) -> int:
    """Runs `stmae score` in this process and returns its exit status."""
    return main(arguments(night, archive, tables, *options))


def start(night: Night, archive: Path | str, tables: Path | str, *options: str) -> subprocess.Popen[bytes]:
    """Starts `stmae score`."""
    return subprocess.Popen([sys.executable, "-m", "stmae", *arguments(night, archive, tables, *options)])


def start_and_signal(
    write: int, signum: signal.Signals, night: Night, archive: Path | str, tables: Path | str
) -> subprocess.Popen[bytes]:
    """Starts `stmae score` on a folder of tables; it gets a signal in the midst of its n-th write."""
    command = [sys.executable, "-c", AT_WRITE, str(write), str(int(signum))]
    return subprocess.Popen([*command, *arguments(night, archive, tables)])


def arguments(night: Night, archive: Path | str, tables: Path | str, *options: str) -> list[str]:
    """Returns the arguments of `stmae score`."""
    fitted = [f"--{name}={night.fitted / name}.json" for name in ("normality", "calibration")]
    server = [f"--server={night.server_url}", f"--deployment={night.deployment}"]
    return ["score", f"--archive={archive}", f"--tables={tables}", "--workers=1", *server, *fitted, *options]
