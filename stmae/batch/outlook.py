"""What a run would do and how long it would take, before it starts."""

from __future__ import annotations

import dataclasses
import io
import itertools
import statistics
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq

from stmae.archive.sources import Source
from stmae.batch.survey import Survey

LONGEST = timedelta(hours=1)
"""A recording whose name does not tell its end is taken to last until the next one begins, and no longer than this."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What is in an archive, and what of it is left to be scored."""

    model: str
    """The tables' partition, `<deployment>-<digest8>`."""
    cameras: int
    hours: int
    """Camera-hours; a video without a time is one of its own."""
    hours_left: int
    videos: int
    videos_left: int
    bytes_left: int
    footage_seconds_left: float
    """As names tell; of videos without times as their bytes suggest."""
    frames_per_second: float | None
    """The speed of the runs of this model so far; None before the first."""
    seconds_left: float | None
    finish: str | None
    """When a run that starts now would end, UTC."""
    unlisted: tuple[str, ...]
    """What could not be looked into, and why."""

    def message(self) -> str:
        """Returns it in words."""
        text = (
            f"{self.cameras} cameras, {self.hours} camera-hours, {self.videos} videos; left to be scored: "
            f"{self.hours_left} camera-hours, {self.videos_left} videos, {self.bytes_left / 1e9:.2f} GB, "
            f"about {timedelta(seconds=round(self.footage_seconds_left))} h of footage"
        )
        if not self.hours_left:
            return f"{text}. Nothing is to be done"
        if self.seconds_left is None:
            return f"{text}. No run of {self.model} has told yet how fast it is"
        wait = timedelta(seconds=round(self.seconds_left))
        return f"{text}. At {self.frames_per_second:.1f} frames/s it takes {wait} h and ends at {self.finish}"


def outlook(survey: Survey) -> Outlook:
    """Returns the outlook of a run. Raises StoreError where the tables cannot be read."""
    plan, left = survey.plan, survey.done.left
    sources = [source for unit in left for source in unit.own if source.skipped is None]
    seconds = footage_seconds(sources)
    rate = _frames_per_second(survey)
    needed = None if rate is None else seconds * survey.job.normality.fps / rate
    return Outlook(
        model=survey.job.model,
        cameras=len({unit.camera for unit in plan.units}),
        hours=len(plan.units),
        hours_left=len(left),
        videos=len(plan.sources),
        videos_left=sum(len(unit.own) for unit in left),
        bytes_left=sum(source.size for source in sources),
        footage_seconds_left=seconds,
        frames_per_second=rate,
        seconds_left=needed,
        finish=None if needed is None else f"{datetime.now(UTC) + timedelta(seconds=needed):%Y-%m-%d %H:%M} UTC",
        unlisted=plan.listing.unlisted,
    )


def footage_seconds(sources: list[Source]) -> float:
    """Returns how long recordings last in all, as far as their names tell.

    One lasts until its end, or until the next of its camera begins, or as long as is usual for the camera. Those
    without a time have as many seconds a byte as the others; where all are without, 0.
    """
    by_camera: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sources:
        if source.place.start is not None:
            by_camera[source.place.camera].append(source)
    seconds, size = 0.0, 0
    for recorded in by_camera.values():
        lengths = _lengths(recorded)
        seconds, size = seconds + sum(lengths), size + sum(source.size for source in recorded)
    untimed = sum(source.size for source in sources if source.place.start is None)
    return seconds + (untimed * seconds / size if size else 0.0)


def _lengths(recorded: list[Source]) -> list[float]:
    """Returns the seconds of a camera's recordings with times."""
    recorded = sorted(recorded, key=lambda source: source.place.start or datetime.max.replace(tzinfo=UTC))
    told: list[float | None] = []
    for source, following in itertools.zip_longest(recorded, recorded[1:]):
        start = source.place.start
        end = source.place.end or (following.place.start if following else None)
        told.append(min((end - start), LONGEST).total_seconds() if start and end else None)
    usual = statistics.median([length for length in told if length is not None] or [0.0])
    # Where the next begins much later than usual there is a gap between.
    return [usual if length is None or length > 2 * usual else length for length in told]


def _frames_per_second(survey: Survey) -> float | None:
    frames, seconds = 0, 0.0
    for item in survey.store.list(f"runs/model={survey.job.model}/"):
        for row in pq.read_table(io.BytesIO(survey.store.get(item.path))).to_pylist():
            frames, seconds = frames + row["frames_scored"], seconds + row["seconds"]
    return frames / seconds if frames and seconds else None
