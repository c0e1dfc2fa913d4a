"""What a local run prints, made readable: everything goes to a log file, a line a step to the terminal."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, TextIO

ANSI = re.compile(r"\x1b\[[0-9;]*m")
STARTED = re.compile(r"Executing task '([^']+?)(?:-\d+)?'$")
"""kfp numbers the steps of one name."""
FINISHED = re.compile(r"Task '([^']+)' finished with status (\w+)$")
EXECUTOR = re.compile(r"^\[KFP Executor [^]]*\]: ")
OUTPUT = re.compile(r'"outputFile": "(.+)"')
TURN = re.compile(r"/for-loop-\d+-iteration-(\d+)")
NAME_WIDTH = 20
TAIL = 6


class Stopped(BaseException):
    """A step failed or was interrupted, so no other begins.

    Not an Exception: logging, through which kfp announces steps, swallows those.
    """


class StepLog:
    """Stands in for stdout while kfp.local runs: the lines of kfp and of every step pass through it.

    kfp announces the start and the end of each step in a line of its own; the steps are timed by these. In a loop it
    would go on with the next turn after a failure: the announcement of a further step raises Stopped.
    """

    def __init__(self, log: IO[str], terminal: TextIO, labels: Mapping[tuple[int, ...], str] = MappingProxyType({})):
        self.seconds: dict[str, float] = {}
        """Wall-clock seconds of the steps that succeeded, in the order in which they ran."""
        self.failed: str | None = None
        """The step that failed."""
        self._log = log
        self._terminal = terminal
        self._live = terminal.isatty()
        self._labels = labels
        """Labels of the turns of the loops, keyed by their numbers from the outermost loop on."""
        self._width = NAME_WIDTH + max((len(label) + 3 for label in labels.values()), default=0)
        self._step: str | None = None
        self._started = 0.0
        self._lines: list[str] = []
        self._pending = ""

    def write(self, text: str) -> int:
        self._log.write(ANSI.sub("", text))
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._line(ANSI.sub("", line).rstrip())
        return len(text)

    def flush(self) -> None:
        self._log.flush()

    def isatty(self) -> bool:
        return False

    def error(self) -> str:
        """What the failed step said last: its exception and where it was raised, or the end of its output."""
        lines = [line for line in self._lines if line.strip()]
        tail = "\n".join(lines[-TAIL:])
        if any(line.startswith("Traceback ") for line in lines):
            return tail
        return f"{tail}\n(no exception: the process ended by itself or was killed, for instance out of memory)"

    def _line(self, line: str) -> None:
        if match := STARTED.search(line):
            if self.failed is not None:
                raise Stopped
            self._step, self._started, self._lines = match[1], time.monotonic(), []
            self._show(f"{match[1]:{self._width}} ...", lasting=False)
        elif match := FINISHED.search(line):
            self._finish(match[2])
        elif self._step is not None:
            content = line.removeprefix("    ")
            self._lines.append(content)
            if match := OUTPUT.search(content):
                turns = tuple(int(turn) for turn in TURN.findall(match[1]))
                self._step += f" ({self._labels[turns]})" if turns in self._labels else ""
            elif match := EXECUTOR.match(content):
                seconds = time.monotonic() - self._started
                self._show(f"{self._step:{self._width}} {seconds:7.0f} s  {content[match.end() :]}", lasting=False)

    def _finish(self, status: str) -> None:
        seconds = time.monotonic() - self._started
        step, self._step = self._step or "", None
        if status == "SUCCESS":
            self.seconds[step] = round(seconds, 3)
            self._show(f"{step:{self._width}} {seconds:7.1f} s", lasting=True)
        else:
            self.failed = step
            self._show(f"{step:{self._width}} {seconds:7.1f} s  FAILED", lasting=True)

    def _show(self, line: str, *, lasting: bool) -> None:
        if self._live:
            # One line that is overwritten until the step ends.
            self._terminal.write("\r\x1b[K" + line[:110] + ("\n" if lasting else ""))
        elif lasting:
            self._terminal.write(line + "\n")
        self._terminal.flush()


def open_log(path: Path) -> IO[str]:
    """A log that can be followed while the run goes on."""
    return path.open("w", encoding="utf-8", buffering=1)
