"""The output of a local run: everything goes to a log file, and one line a step to the terminal.

kfp.local reports its steps on stdout only, so its lines are parsed; a progress bar of a library would need the same.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, TextIO

ANSI = re.compile(r"\x1b\[[0-9;]*m")
STARTED = re.compile(r"Executing task '([^']+?)(?:-\d+)?'$")
"""kfp appends a number to the second and later steps of one name."""
FINISHED = re.compile(r"Task '([^']+)' finished with status (\w+)$")
EXECUTOR = re.compile(r"^\[KFP Executor [^]]*\]: ")
ESTIMATE = re.compile(r"training takes about .* on this machine")
"""What extract-flow says before the training starts; it stays on the terminal."""
OUTPUT = re.compile(r'"outputFile": "(.+)"')
ITERATION = re.compile(r"/for-loop-\d+-iteration-(\d+)")
NAME_WIDTH = 20
TAIL = 6


class Stopped(BaseException):
    """Raised to keep another step from starting after one has failed.

    It is no Exception because kfp announces steps through logging, which swallows exceptions.
    """


class StepLog:
    """Stands in for stdout while kfp.local runs: the lines of kfp and of every step pass through it.

    kfp announces the start and the end of each step in a line of its own, by which the steps are timed. After a failure
    in a loop kfp would go on with the next iteration; the announcement of a further step raises Stopped instead.
    """

    def __init__(
        self, log: IO[str], terminal: TextIO, iteration_names: Mapping[tuple[int, ...], str] = MappingProxyType({})
    ):
        self.seconds: dict[str, float] = {}
        """Wall-clock seconds of the steps that succeeded, in the order in which they ran."""
        self.failed: str | None = None
        """Name of the step that failed."""
        self._log = log
        self._terminal = terminal
        self._live = terminal.isatty()
        self._iteration_names = iteration_names
        """Names of the loops' iterations, by their indices from the outermost loop on."""
        self._width = NAME_WIDTH + max((len(name) + 3 for name in iteration_names.values()), default=0)
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
        """Returns the end of the failed step's output: its exception and where it was raised, or its last lines."""
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
            if ESTIMATE.match(content):
                self._show(content, lasting=True)
            if match := OUTPUT.search(content):
                name = self._iteration_names.get(tuple(int(index) for index in ITERATION.findall(match[1])))
                # Each output parameter has such a line too.
                if name and not self._step.endswith(f" ({name})"):
                    self._step += f" ({name})"
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
            # The line is overwritten until the step ends.
            self._terminal.write("\r\x1b[K" + (f"{line}\n" if lasting else line[:110]))
        elif lasting:
            self._terminal.write(line + "\n")
        self._terminal.flush()


def open_log(path: Path) -> IO[str]:
    """Opens a log that can be followed while the run goes on: it is written line by line."""
    return path.open("w", encoding="utf-8", buffering=1)
