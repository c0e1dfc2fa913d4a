"""The ledger of a camera's timeline: what became of each recording, and where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from stmae.archive.sources import Source
from stmae.batch.stream import GAP_SECONDS
from stmae.scoring.raw import CLIP_FRAMES
from stmae.video.health import DecodeHealth
from stmae.video.sampling import is_slower


@dataclasses.dataclass(slots=True)
class Reading:
    """What was read of a source; grows while it is read."""

    source: Source
    start: datetime | None
    """UTC."""
    health: DecodeHealth | None = None
    """None where nothing was read."""
    trouble: str | None = None
    """Why nothing was read; None for what is no video, and for an object that has vanished."""
    samples: int = 0
    scored: int = 0
    pauses: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    """Stretches without frames, seconds since its start."""

    @property
    def end(self) -> datetime | None:
        """Returns when it ends, as far as it is known, UTC."""
        if self.start is None:
            return None
        if self.health is None:
            return self.source.place.end or self.start
        return self.start + timedelta(seconds=self.health.seconds_decoded or self.health.seconds_reported or 0.0)


def ledger(readings: Iterable[Reading], until: datetime | None, inputs: str, fps: float) -> Iterator[dict[str, Any]]:
    """Yields rows of tables.COVERAGE of a unit's own sources, in order, and of the gaps before and within them.

    `until` is the end of what came before, UTC; None where nothing did. Rows of sources with times tile the timeline:
    their `seconds` add up to the time from `until` to the end of the last.
    """
    for reading in readings:
        start, end = reading.start, reading.end
        seconds = 0.0
        if start is not None and end is not None:
            if until is not None and (start - until).total_seconds() > GAP_SECONDS:
                yield _gap(until, start, "no recording", inputs)
                until = start
            # A seam of less belongs to the recording after it; what another recording covers is counted once.
            seconds = max(0.0, (end - (start if until is None else until)).total_seconds())
            for begins, ends in reading.pauses:
                pause = start + timedelta(seconds=begins), start + timedelta(seconds=ends)
                yield _gap(*pause, f"{reading.source.uri}: the recording pauses", inputs)
                seconds -= ends - begins
        row = _row(reading, inputs, fps)
        covered = start is not None and end is not None and until is not None and end <= until
        if row["status"] == "skipped" and reading.samples == 0 and covered and reading.health is not None:
            row["reason"] = "another recording of the camera covers the same time"
        yield row | {"seconds": max(0.0, seconds)}
        until = max(each for each in (until, end) if each is not None) if until or end else None


def _gap(start: datetime, end: datetime, reason: str, inputs: str) -> dict[str, Any]:
    return {
        "inputs": inputs,
        "bytes": 0,
        "status": "gap",
        "reason": reason,
        "start_time": start,
        "end_time": end,
        "seconds": (end - start).total_seconds(),
        "frames_decoded": 0,
        "frames_scored": 0,
        "seconds_decoded": 0.0,
        "seconds_scored": 0.0,
    }


def _row(reading: Reading, inputs: str, fps: float) -> dict[str, Any]:
    source, health = reading.source, reading.health
    status, told = _status(reading)
    if health and reading.scored and is_slower(health.fps, fps):
        told.append(f"has {health.fps:g} frames/s, fewer than the {fps:g} that the model is used with")
    if source.place.doubt:
        told.append(source.place.doubt)
    return {
        "source": source.uri,
        "etag": source.etag,
        "inputs": inputs,
        "bytes": source.size,
        "status": status,
        "reason": "; ".join(told) or None,
        "start_time": reading.start,
        "end_time": reading.end,
        "frames_reported": health.frames_reported if health else None,
        "frames_decoded": health.frames_decoded if health else 0,
        "frames_scored": reading.scored,
        "seconds_reported": health.seconds_reported if health else None,
        "seconds_decoded": health.seconds_decoded if health else 0.0,
        "seconds_scored": reading.scored / min(fps, health.fps) if health else 0.0,
    }


def _status(reading: Reading) -> tuple[str, list[str]]:
    """Returns a source's status and why."""
    if reading.source.skipped:
        return "skipped", [reading.source.skipped]
    if reading.health is None:
        return "missing", [reading.trouble or "the object vanished between listing and reading"]
    told = [reading.health.reason] if reading.health.reason else []
    if reading.health.status == "scored" and reading.scored == 0:
        return "skipped", [
            f"{reading.health.frames_decoded} frames: too short, the first score is that of frame {CLIP_FRAMES + 1}"
        ]
    return reading.health.status, told
