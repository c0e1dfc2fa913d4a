"""Scores one camera-hour: downloads, decodes, asks the server, writes its rows.

Scores, events and thumbnails are written first and the coverage rows last: where there are some, all the rest is
there. Nothing that is written depends on when or how often it was written, or on what was scored before.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.archive.timeline import Unit, inputs_digest
from stmae.batch import traces
from stmae.batch.copies import Copies
from stmae.batch.coverage import ledger
from stmae.batch.events import events_table
from stmae.batch.job import Job
from stmae.batch.unit_stream import UnitStream, Warmth
from stmae.serving.client import Client, ServingError
from stmae.storage import StoreError, open_store
from stmae.video.sandbox import Sandbox

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
"""So long a server may be away, busy or late: one that starts anew takes some seconds."""
REASONS = ("unavailable", "busy", "missing", "deadline", "bad input", "server", "store", "source", "worker", "listing")
"""What failures come from: six causes of the server (`ServingError`), a store, sources that could not be read, a
worker that was killed, and parts of the archive that could not be listed."""
THUMBNAIL_WIDTH = 640
THUMBNAIL_QUALITY = 85


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a unit in a run: coverage rows, or none and a failure."""

    unit: Unit
    statuses: Counter[str] = dataclasses.field(default_factory=Counter)
    """What became of its sources; empty where no rows were written."""
    frames_scored: int = 0
    frames_still: int = 0
    """Those of them that showed nothing new, so that the server was not asked."""
    seconds_scored: float = 0.0
    events: int = 0
    bytes_read: int = 0
    """Downloaded for it."""
    attempts: int = 1
    """One, and one more for each request that was sent to the server again."""
    unread: int = 0
    """Sources that could not be read. Their rows say `missing`, and the next run tries again."""
    failures: tuple[str, ...] = ()
    """What could not be read or written, and why."""
    reason: str = ""
    """Which of REASONS the failures have; empty without any."""
    hopeless: bool = False
    """The failure would meet every other unit too."""


class Worker:
    """Holds the connections of a process while it scores one unit after another."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job = job
        self._archive = open_store(job.archive)
        self._tables = open_store(job.tables)
        self.copies = Copies(self._archive, folder)
        self._sandbox = Sandbox()
        self._client = Client(
            job.server_url,
            job.deployment,
            deadline_seconds=job.deadline_seconds,
            patience_seconds=PATIENCE_SECONDS,
            tls=job.tls,
            headers=traces.headers,
        )
        self._warmth: Warmth | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._sandbox.close()
        self.copies.close()
        traces.flush()

    def score(self, unit: Unit) -> Outcome:
        """Writes all rows of a unit. Where a server or store fails, it stays undone and the outcome says why."""
        read, repeats, hour = self.copies.bytes_read, self._client.repeats, f"{unit.date} {unit.key}"
        with traces.span("stmae.unit", self.job.traceparent, camera=unit.camera, hour=hour) as span:
            outcome = dataclasses.replace(self._attempt(unit), attempts=1 + self._client.repeats - repeats)
            span.note(frames=outcome.frames_scored, attempts=outcome.attempts)
            if outcome.failures:
                span.fail(outcome.failures[0])
        return dataclasses.replace(outcome, bytes_read=self.copies.bytes_read - read)

    def _attempt(self, unit: Unit) -> Outcome:
        try:
            return self._score(unit)
        except ServingError as error:
            failures, hopeless = (f"{unit.own[0].uri}: {error}",), error.cause in ("unavailable", "busy", "missing")
            return Outcome(unit=unit, failures=failures, reason=error.cause, hopeless=hopeless)
        except StoreError as error:  # of the tables, or an archive that is gone: nothing can be kept
            return Outcome(unit=unit, failures=(str(error),), reason="store", hopeless=True)

    def _score(self, unit: Unit) -> Outcome:
        self._check_model()
        stream = UnitStream(self.job, unit, self.copies, self._sandbox, self._client, self._warmth)
        with traces.span("stmae.score", camera=unit.camera) as span:
            frames = stream.scored()
            span.note(frames=len(frames))
        self._check_model()  # or the unit would have scores of two models
        own = [reading for reading in stream.readings if reading.source.uri in {source.uri for source in unit.own}]
        troubles = tuple(reading.trouble for reading in own if reading.trouble)
        if troubles:
            next(self._archive.list(), None)  # raises where not the objects but the whole archive is the trouble
        sources = {reading.source.uri: (reading.source, reading.start) for reading in own}
        scores, heatmaps = frames.scores(sources), frames.heatmaps(sources)
        events = events_table(scores, heatmaps, self.job.calibration, unit.partition(self.job.model))
        rows = list(ledger(own, stream.until, inputs_digest(stream.sources), self.job.normality.fps))
        coverage = pa.Table.from_pylist(rows, schema=tables.COVERAGE)
        with traces.span("stmae.write", camera=unit.camera, events=events.num_rows):
            self._put_thumbnails(unit, events, stream.paths)
            for name, table in (("scores", scores), ("heatmaps", heatmaps), ("events", events), ("coverage", coverage)):
                path = tables.object_path(name, unit.partition(self.job.model), unit.key)
                self._tables.put(path, tables.to_parquet(table))
        self._warmth = stream.warmth
        return Outcome(
            unit=unit,
            statuses=Counter(row["status"] for row in rows if row.get("source")),
            frames_scored=len(frames),
            frames_still=frames.still,
            seconds_scored=sum(row["seconds_scored"] for row in rows),
            events=events.num_rows,
            unread=len(troubles),
            failures=troubles,
            reason="source" if troubles else "",
        )

    def _check_model(self) -> None:
        if self._client.describe().digest != self.job.model_digest:
            raise ServingError(
                "missing",
                f"{self.job.server_url}: {self.job.deployment!r} was published anew during the run; "
                "run again to score with the new model",
            )

    def _put_thumbnails(self, unit: Unit, events: pa.Table, paths: dict[str, Path]) -> None:
        """Writes a picture of each event, and removes those of events that the unit had before."""
        folder, keys = unit.partition(self.job.model).folder("thumbnails"), {source.key for source in unit.own}
        kept = {item.path for item in self._tables.list(folder)}
        stale = {path for path in kept if path.removeprefix(folder).partition("-")[0] in keys}
        for name, jpeg in self._thumbnails(events, paths):
            self._tables.put(name, jpeg)
            stale.discard(name)
        for name in sorted(stale):
            self._tables.delete(name)

    def _thumbnails(self, events: pa.Table, paths: dict[str, Path]) -> Iterator[tuple[str, bytes]]:
        """Yields names and JPEGs of the peaks of events, in a second pass over the videos that have some."""
        wanted: dict[str, dict[int, str]] = {}
        for row in events.select(["source", "peak_frame", "thumbnail"]).to_pylist():
            wanted.setdefault(row["source"], {})[row["peak_frame"]] = row["thumbnail"]
        for source, names in wanted.items():
            for frame in self._sandbox.read(paths[source], only=sorted(names)):
                yield names[frame.index], _jpeg(frame.image)


def _jpeg(image_rgb: npt.NDArray[np.uint8]) -> bytes:
    height, width = image_rgb.shape[:2]
    if width > THUMBNAIL_WIDTH:
        size = (THUMBNAIL_WIDTH, max(1, round(height * THUMBNAIL_WIDTH / width)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    options = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()
