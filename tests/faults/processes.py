"""Processes below one that a test started: found by what they are, killed by their ids."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

FIND_SECONDS = 60.0


def below(pid: int) -> dict[int, str]:
    """Returns the command lines of all processes that descend from one, by id."""
    parents, commands = dict[int, int](), dict[int, str]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue  # it has ended
    found, generation = dict[int, str](), {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        found |= {child: commands[child] for child in generation}
    return found


def find(pid: int, what: str) -> int:
    """Returns the id of a process below one whose command line holds `what`, once there is one."""
    deadline = time.monotonic() + FIND_SECONDS
    while True:
        for child, command in below(pid).items():
            if what in command:
                return child
        assert time.monotonic() < deadline, f"no process {what!r} below {pid}"
        time.sleep(0.005)


def kill_9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
