"""A video of many hours is scored like any other, and takes no more memory than a short one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jobs
import pytest
from nights import Night, covered, rows
from recordings import at_intervals

MEASURED = """
import sys
from pathlib import Path
from stmae.cli import main
status = main(sys.argv[1:])
print(Path("/proc/self/status").read_text())
sys.exit(status)
"""
"""Ends with what the kernel knows of the process."""
FRAMES = 70
"""Frames that are recorded every ten minutes."""
MORE_MIB = 32
"""Less than the pictures of ten hours."""


def peak_mib(night: Night, folder: Path, hours: float) -> float:
    """Scores a recording and returns the most memory that the job held."""
    bursts = round(hours * 6)
    at_intervals(folder / "site/gate/2026-03-01/00-00-00.mkv", bursts, 600.0, FRAMES)
    command = [sys.executable, "-c", MEASURED, *jobs.arguments(night, folder / "site", folder / "tables")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (row,) = covered(folder / "tables")
    assert (row["status"], row["frames_scored"]) == ("scored", bursts * (FRAMES - 4))
    assert sum(each["status"] == "gap" for each in rows(folder / "tables", "coverage")) == bursts - 1
    return int(re.search(r"VmHWM:\s+(\d+) kB", said)[1]) / 1024


@pytest.mark.slow
@pytest.mark.fault("a video of 10 hours")
def test_ten_hours_take_no_more_memory_than_ten_minutes(night: Night, tmp_path: Path) -> None:
    short, long = peak_mib(night, tmp_path / "short", 1 / 6), peak_mib(night, tmp_path / "long", 10)
    assert long < short + MORE_MIB
