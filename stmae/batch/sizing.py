"""What a number of cameras needs a day: arithmetic on the figures that were measured and committed.

Every line names the file and the figures that it rests on. A figure that was not measured yet is named with the command
that measures it, and nothing is put in its place.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stmae.config import ServeConfig
from stmae.scoring.raw import CLIP_FRAMES

MEASURED_BY = {
    "batch-scale": "make bench-batch",
    "tables": "make bench-score",
    "serving-gpu": "benchmarks/gpu, on a machine with a GPU",
}
"""The results files, by what measures them."""
NIGHT_HOURS = 8
FILE_SECONDS = 10
"""Length of the recordings of the measured night."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One figure of an estimate."""

    name: str
    value: float
    unit: str
    rests_on: str
    """The file, the figures in it, and the machine that they were measured on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """What a day of footage needs."""

    cameras: int
    hours: float
    """Hours of footage of a camera and day."""
    fps: float
    """Frames a second that are scored."""
    lines: tuple[Line, ...]
    finish: str | None
    """When one such machine that starts now would be done, UTC; None where its speed was not measured."""
    missing: tuple[str, ...]
    """What cannot be told, and what measures it."""

    def message(self) -> str:
        """Returns it as a table."""
        rows = [f"  {line.name:36} {line.value:>14,.1f} {line.unit:12} {line.rests_on}" for line in self.lines]
        return "\n".join(
            [
                f"A day of {self.cameras} cameras, {self.hours:g} h each at {self.fps:g} frames/s:",
                *rows,
                *([f"  One such machine that starts now is done at {self.finish}."] if self.finish else []),
                *(f"  Not known: {each}" for each in self.missing),
            ]
        )


class ResultsError(ValueError):
    """There is no such folder of results, or a file in it is none; the message names it and the mend."""


def estimate(folder: Path, cameras: int, hours: float, fps: float) -> Estimate:
    """Returns what a day of footage needs, by the results files in a folder. Raises ResultsError."""
    if not folder.is_dir():
        raise ResultsError(f"{folder}: no folder of results; name one with --results (benchmarks/results)")
    batch, tables, gpu = (_Results(folder / f"{name}.json") for name in MEASURED_BY)
    seconds = cameras * hours * 3600.0
    frames, new = seconds * fps, ServeConfig().segment_frames - CLIP_FRAMES

    def machine_hours() -> float:
        return frames / batch["batch_frames_per_second"] / 3600

    def table_bytes(footage: str) -> float:
        a_frame, a_second = tables[f"bytes_per_frame_{footage}"], tables[f"heatmap_bytes_per_second_{footage}"]
        return frames * a_frame + seconds * a_second

    def store_requests() -> float:
        files = batch["night_files"] - batch["night_files_before_kill"]
        return batch["night_requests_resumed"] / files * seconds / FILE_SECONDS

    wanted: tuple[tuple[str, str, _Results, Callable[[], float]], ...] = (
        ("time on one such machine", "h", batch, machine_hours),
        ("CPU-hours, inference on the CPU", "core-h", batch, lambda: machine_hours() * batch.cores),
        (f"machines to be done in {NIGHT_HOURS} h", "", batch, lambda: math.ceil(machine_hours() / NIGHT_HOURS)),
        ("GPU-hours, inference alone", "GPU-h", gpu, lambda: frames / gpu["fps_segment_bf16"] / 3600),
        ("tables, still footage", "MB", tables, lambda: table_bytes("upcam") / 1e6),
        ("tables, busy footage", "MB", tables, lambda: table_bytes("ped2") / 1e6),
        ("objects of tables", "", batch, lambda: batch["objects_per_camera_day"] / 24 * cameras * hours),
        (f"requests to S3, {FILE_SECONDS}-second files", "", batch, store_requests),
    )
    given = f"{cameras} cameras x {hours:g} h x {fps:g} frames/s"
    lines = [
        Line("camera-hours", cameras * hours, "", given),
        Line("frames", frames, "", given),
        Line("requests to Triton", math.ceil(frames / new), "", f"{new} new frames each (serve.segment_frames)"),
    ]
    missing = []
    for name, unit, results, compute in wanted:
        results.used = {}
        try:
            lines.append(Line(name, compute(), unit, results.told()))
        except _NotMeasuredError as error:
            missing.append(f"{name}: {error}")
    needed = next((line.value for line in lines if line.unit == "h"), None)
    finish = None if needed is None else f"{datetime.now(UTC) + timedelta(hours=needed):%Y-%m-%d %H:%M} UTC"
    return Estimate(cameras, hours, fps, tuple(lines), finish, tuple(missing))


class _NotMeasuredError(LookupError):
    """A figure that a results file does not have."""


class _Results:
    """The figures of a results file, which notes those that are used. Without the file there are none."""

    def __init__(self, path: Path) -> None:
        self.path, self.used = path, dict[str, float]()
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            self._figures, self._machine = record["figures"], record["machine"]
        except FileNotFoundError:
            self._figures, self._machine = {}, {}
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path}: not a results file ({error!r}); restore it, or measure again") from None

    def __getitem__(self, name: str) -> float:
        if name not in self._figures:
            raise _NotMeasuredError(f"{self.path.name} has no {name}; {MEASURED_BY[self.path.stem]} measures it")
        self.used[name] = self._figures[name]
        return self.used[name]

    @property
    def cores(self) -> int:
        """Returns the cores of the machine."""
        return int(self._machine["cores"])

    def told(self) -> str:
        """Returns the figures that were used since `used` was emptied, and where they were measured."""
        figures = ", ".join(f"{name} = {value:g}" for name, value in self.used.items())
        return f"{self.path.name}: {figures} ({self._machine.get('gpu') or self._machine.get('cpu')})"
