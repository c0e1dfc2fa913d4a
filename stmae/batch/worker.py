"""Scores one source object: downloads, decodes, asks the server, writes its rows.

Scores, events and thumbnails are written first and the coverage row last: where there is one, all the rest is
there. Nothing that is written depends on when or how often it was written.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.batch.events import events_table
from stmae.batch.plan import Source
from stmae.batch.rows import Sample, heatmaps_table, scores_table
from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving.client import Client, ServingError
from stmae.serving.segments import cut
from stmae.storage import ObjectMissingError, StoreError, open_store
from stmae.video.health import DecodeHealth
from stmae.video.sampling import is_slower
from stmae.video.sandbox import Sandbox

log = logging.getLogger(__name__)

RETRY_SECONDS = (1.0, 3.0)
"""Pauses before the further attempts at a source whose server was away or late."""
THUMBNAIL_WIDTH = 640
THUMBNAIL_QUALITY = 85

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What all sources of a run have in common; travels to workers."""

    archive: str
    tables: str
    server_url: str
    deployment: str
    model: str
    """The tables' partition, `<deployment>-<digest8>`."""
    model_digest: str
    """The server must serve this very model from the first source to the last."""
    size: int
    segment_frames: int
    deadline_seconds: float
    normality: NormalityModel
    calibration: Calibration


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a source in a run: a coverage row with `status`, or none and a `failure`."""

    source: Source
    status: str | None = None
    frames_scored: int = 0
    events: int = 0
    attempts: int = 1
    failure: str | None = None
    hopeless: bool = False
    """The failure would meet every other source too."""
    unread: bool = False
    """The failure is that the archive did not give the object."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fetched:
    """A source's local copy, or why there is none."""

    path: Path | None
    etag: str
    failure: str | None = None
    """None without a path: the object has vanished."""


class Worker:
    """Holds the connections of a process while it scores one source after another."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._archive = open_store(job.archive)
        self._tables = open_store(job.tables)
        self._sandbox = Sandbox()
        self._client = Client(job.server_url, job.deployment, deadline_seconds=job.deadline_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._sandbox.close()

    def fetch(self, source: Source, folder: Path) -> Fetched:
        """Downloads a source into `folder`. Raises nothing: the answer tells of any trouble."""
        if source.skipped:
            return Fetched(None, source.etag)
        target = folder / f"{source.key}{PurePosixPath(source.path).suffix.lower()}"
        try:
            return Fetched(target, self._archive.download(source.path, target))
        except ObjectMissingError:
            return Fetched(None, source.etag)
        except StoreError as error:
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC
            hint = f" (local copies go to {folder}; TMPDIR names another folder)" if full else ""
            return Fetched(None, source.etag, f"{error}{hint}")

    def score(self, source: Source, fetched: Fetched) -> Outcome:
        """Writes all rows of a source. Where a server or store fails, it stays undone and the outcome says why."""
        if fetched.failure:
            return Outcome(source=source, failure=fetched.failure, unread=True)
        if fetched.path is not None:  # the bytes that are scored, were they replaced since the plan
            source = dataclasses.replace(source, etag=fetched.etag, size=fetched.path.stat().st_size)
        for attempt, pause in enumerate((*RETRY_SECONDS, None), 1):
            try:
                return dataclasses.replace(self._score(source, fetched.path), attempts=attempt)
            except ServingError as error:
                if pause is None or error.cause not in ("unavailable", "deadline"):
                    hopeless = error.cause in ("unavailable", "missing")
                    message = f"{source.uri}: {error}"
                    return Outcome(source=source, attempts=attempt, failure=message, hopeless=hopeless)
                log.warning("%s: attempt %d: %s", source.uri, attempt, error)
                time.sleep(pause)
            except StoreError as error:  # of the tables: nothing that is scored could be kept
                return Outcome(source=source, attempts=attempt, failure=str(error), hopeless=True)
        raise AssertionError("the last attempt returns")

    def _score(self, source: Source, path: Path | None) -> Outcome:
        if path is None:
            row = _coverage(source, None, 0, self.job.normality.fps)
            self._put(
                source, {name: tables.SCHEMAS[name].empty_table() for name in ("scores", "heatmaps", "events")}, row
            )
            return Outcome(source=source, status=row["status"])
        served = self._client.describe()
        if served.digest != self.job.model_digest:
            raise ServingError(
                "missing",
                f"{self.job.server_url}: {self.job.deployment!r} was published anew during the run; "
                "run again to score with the new model",
            )
        frames, raw, values, health = self._ask(path)
        source = source.lasting(health.seconds_decoded)
        scores = scores_table(source, frames, raw, values)
        heatmaps = heatmaps_table(source, frames, values.heatmap)
        events = events_table(scores, heatmaps, self.job.calibration, source.partition(self.job.model))
        names = dict(zip(events["peak_frame"].to_pylist(), events["thumbnail"].to_pylist(), strict=True))
        for name, jpeg in self._thumbnails(path, names):
            self._tables.put(name, jpeg)
        row = _coverage(source, health, scores.num_rows, self.job.normality.fps)
        self._put(source, {"scores": scores, "heatmaps": heatmaps, "events": events}, row)
        return Outcome(source=source, status=row["status"], frames_scored=scores.num_rows, events=events.num_rows)

    def _ask(self, path: Path) -> tuple[list[Sample], RawScores, FrameValues, DecodeHealth]:
        """Streams a video's segments to the server; returns which frames were sampled, and their scores."""
        frames = self._sandbox.read(path, self.job.size, fps=self.job.normality.fps)
        samples: list[Sample] = []
        seen: list[RawScores] = []

        def images() -> Iterator[npt.NDArray[np.uint8]]:
            for frame in frames:
                samples.append(Sample(frame.index, frame.time_s))
                yield frame.image

        def raw() -> Iterator[RawScores]:
            for part in self._client.score_stream(cut(images(), self.job.segment_frames)):
                try:
                    seen.append(part.check())
                except ValueError as error:
                    where = f"{self.job.server_url}: model {self.job.deployment!r}"
                    raise ServingError("missing", f"{where}: {error}") from None
                yield part

        values = list(self.job.normality.frame_values(raw()))
        return (
            samples,
            RawScores.join([RawScores.empty(), *seen]),
            FrameValues.join([FrameValues.empty(), *values]),
            frames.health,
        )

    def _thumbnails(self, path: Path, names: dict[int, str]) -> Iterator[tuple[str, bytes]]:
        """Yields names and JPEGs of the frames that `names` is keyed by, in a second pass over the video."""
        for frame in self._sandbox.read(path, only=sorted(names)) if names else ():
            yield names[frame.index], _jpeg(frame.image)

    def _put(self, source: Source, made: dict[str, pa.Table], coverage: dict[str, Any]) -> None:
        rows = pa.Table.from_pylist([coverage], schema=tables.COVERAGE)
        for name, table in (*made.items(), ("coverage", rows)):
            path = tables.object_path(name, source.partition(self.job.model), source.key)
            self._tables.put(path, tables.to_parquet(table))


def _jpeg(image_rgb: npt.NDArray[np.uint8]) -> bytes:
    height, width = image_rgb.shape[:2]
    if width > THUMBNAIL_WIDTH:
        size = (THUMBNAIL_WIDTH, max(1, round(height * THUMBNAIL_WIDTH / width)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    options = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def _coverage(source: Source, health: DecodeHealth | None, scored: int, fps: float) -> dict[str, Any]:
    if health is not None:
        status, reason = str(health.status), health.reason
    elif source.skipped:
        status, reason = "skipped", source.skipped
    else:
        status, reason = "missing", "the object vanished between listing and reading"
    decoded = health.frames_decoded if health else 0
    if health and scored and is_slower(health.fps, fps):
        slow = f"has {health.fps:g} frames/s, fewer than the {fps:g} that the model is used with"
        reason = f"{reason}; {slow}" if reason else slow
    if source.place.doubt:
        reason = f"{reason}; {source.place.doubt}" if reason else source.place.doubt
    if status == "scored" and scored == 0:
        status = "skipped"
        reason = f"{decoded} frames: too short, the first score is that of frame {CLIP_FRAMES + 1}"
    return {
        "source": source.uri,
        "etag": source.etag,
        "bytes": source.size,
        "status": status,
        "reason": reason,
        "frames_reported": health.frames_reported if health else None,
        "frames_decoded": decoded,
        "frames_scored": scored,
        "seconds_reported": health.seconds_reported if health else None,
        "seconds_decoded": health.seconds_decoded if health else 0.0,
        "seconds_scored": scored / min(fps, health.fps) if health else 0.0,
        "start_time": source.place.start,
    }
