"""One batch run: plan, score what is not done, account for it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa
from tqdm import tqdm

from stmae import tables as tabular
from stmae.batch import engines, traces
from stmae.batch.compaction import expand_days
from stmae.batch.job import Job
from stmae.batch.plan import Options, Plan
from stmae.batch.replacement import recover
from stmae.batch.status import Status, last_success, written
from stmae.batch.survey import Survey, config_digest, survey
from stmae.batch.worker import Outcome
from stmae.serving.tls import Tls
from stmae.storage import ObjectMissingError, Store, StoreError, open_store
from stmae.storage.document import digest

if TYPE_CHECKING:  # a job that serves no metrics needs no client of Prometheus
    from stmae.batch.metrics import Metrics

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""After so many camera-hours of which nothing could be written, one after the other, the run ends."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """What a run did. `sources_scored`, `frames_scored`, `events` count this run's own work."""

    plan_digest: str
    model: str
    """The tables' partition, `<deployment>-<digest8>`."""
    sources: int
    """Sources of the plan."""
    sources_done_before: int
    sources_scored: int
    """Sources that were worked on in this run, whatever their status."""
    sources_failed: int
    """Sources that could not be read or scored, because a server or a store failed; the next run takes them up."""
    frames_scored: int
    frames_still: int
    """Frames that showed nothing new, so that the server was not asked."""
    events: int
    coverage: Mapping[str, int]
    """Sources of the whole plan by status."""
    left_out: Mapping[str, int]
    """Objects of the archive that are no recordings, by kind: `companion` and `trash`."""
    failures: tuple[str, ...]
    """What could not be worked on or looked into, and why."""
    attempts: int
    seconds: float
    tables: str

    @property
    def complete(self) -> bool:
        """Tells whether all of the archive was looked into and each source of the plan has its coverage row."""
        return self.sources_failed == 0 and not self.failures

    def message(self) -> str:
        """Returns what was done, what was kept and what is left, in words."""
        done = self.sources - self.sources_failed
        text = (
            f"{done} of {self.sources} sources are in {self.tables}: {self.sources_done_before} were before, "
            f"{self.sources_scored} new with {self.frames_scored} scored frames ({self.frames_still} still) and "
            f"{self.events} events"
        )
        if self.complete:
            return text
        return (
            f"{text}; {self.sources_failed} left for the next run. Trouble ({len(self.failures)}): {self.failures[0]}"
        )


def score_archive(
    archive: str,
    tables: str,
    server_url: str,
    deployment: str,
    normality: str,
    calibration: str,
    *,
    engine: str = "local",
    workers: int | None = None,
    deadline_seconds: float = 60.0,
    tls: Tls | None = None,
    metrics: Metrics | None = None,
    **options: Unpack[Options],
) -> RunSummary:
    """Scores every source of an archive that the tables do not cover yet.

    Arguments are those of `stmae.batch.survey.survey`, the engine and the number of its workers
    (`stmae.batch.engines`), and what is told of the run while it works (`stmae.batch.metrics`). A run with nothing left
    to do writes nothing. A failing server or store is told in the summary (`complete` is false). Raises StoreError,
    PlanError, ServingError, EngineError, TraceError and ValueError (a normality model or calibration that is none) for
    what can't even start.
    """
    work, places = engines.engine(engine), (archive, tables, server_url, deployment, normality, calibration)
    try:
        with traces.span("stmae.run", archive=archive, deployment=deployment, engine=engine) as span:
            clock, started = time.monotonic(), datetime.now(UTC)
            recover(open_store(tables))
            found = survey(*places, deadline_seconds=deadline_seconds, tls=tls, **options)
            outcomes = _work(found, work, workers, metrics, started)
            summary = _summary(found, outcomes, time.monotonic() - clock)
            span.note(hours=len(found.done.left), frames=summary.frames_scored, events=summary.events)
            if not summary.complete:
                span.fail(summary.failures[0] if summary.failures else "sources are left")
            _keep(found.store, found.job, found.plan, summary, started)
    finally:
        traces.flush()
    if metrics is not None:
        metrics.end(complete=summary.complete)
    return summary


def _work(
    found: Survey, work: engines.Engine, workers: int | None, metrics: Metrics | None, started: datetime
) -> list[Outcome]:
    """Scores what is left."""
    plan, job, done = found.plan, found.job, found.done
    log.info("plan %s: %d camera-hours, %d left", plan.digest[:8], len(plan.units), len(done.left))
    unlisted = plan.listing.unlisted
    for trouble in unlisted:
        log.error("%s", trouble)
    now = started.isoformat(timespec="seconds")
    status = Status(
        model=job.model,
        archive=job.archive,
        plan_digest=plan.digest,
        started=now,
        updated=now,
        hours=len(done.left),
        bytes=sum(source.size for unit in done.left for source in unit.own),
        reasons={"listing": len(unlisted)} if unlisted else {},
    )
    if metrics is not None:
        metrics.begin(status, done.left, last_success(found.store))
    if not done.left:
        return []
    outcomes = []
    for outcome in _outcomes(found, work, workers, status):
        outcomes.append(outcome)
        if metrics is not None:
            metrics.enter(outcome)
    return outcomes


def _summary(found: Survey, outcomes: list[Outcome], seconds: float) -> RunSummary:
    plan, done = found.plan, found.done
    written = [item for item in outcomes if item.statuses]
    scored = sum(item.statuses.total() - item.unread for item in written)
    done_before = done.statuses.total()
    coverage = sum((item.statuses for item in written), done.statuses)
    return RunSummary(
        plan_digest=plan.digest,
        model=found.job.model,
        sources=len(plan.sources),
        sources_done_before=done_before,
        sources_scored=scored,
        sources_failed=len(plan.sources) - done_before - scored,
        frames_scored=sum(item.frames_scored for item in written),
        frames_still=sum(item.frames_still for item in written),
        events=sum(item.events for item in written),
        coverage=dict(sorted(coverage.items())),
        left_out=plan.listing.left_out,
        failures=(*plan.listing.unlisted, *(failure for item in outcomes for failure in item.failures)),
        attempts=sum(item.attempts for item in outcomes),
        seconds=seconds,
        tables=found.store.root,
    )


def _outcomes(found: Survey, work: engines.Engine, workers: int | None, status: Status) -> Iterator[Outcome]:
    """Scores units until none further could succeed; tells a terminal and the status file how far it is."""
    store, job, left = found.store, found.job, found.done.left
    store.prepare()
    found.done.keep(store, job.model)
    expand_days(store, found.done.merged)
    bar = tqdm(total=status.bytes, unit="B", unit_scale=True, disable=not sys.stderr.isatty())
    in_a_row = 0
    with bar, written(store, status), contextlib.closing(work(job, left, workers)) as outcomes:
        for outcome in outcomes:
            _tell(outcome)
            status.enter(outcome)
            bar.update(status.bytes_done - bar.n)
            bar.set_postfix_str(f"{status.frames_scored} frames, {status.events} events")
            yield outcome
            in_a_row = 0 if outcome.statuses else in_a_row + 1
            if outcome.hopeless or in_a_row == FAILURES_IN_A_ROW:
                return
        status.state = "complete" if not status.failures and status.hours_done == status.hours else "incomplete"


def _tell(outcome: Outcome) -> None:
    for failure in outcome.failures:
        log.error("%s", failure)
    where = f"{outcome.unit.camera} {outcome.unit.date} {outcome.unit.key}"
    log.info("%s: %s, %d frames", where, dict(outcome.statuses), outcome.frames_scored)


def _keep(store: Store, job: Job, plan: Plan, summary: RunSummary, started: datetime) -> None:
    """Writes the run's row, unless it neither did nor left anything and the plan has its row already."""
    path = tabular.run_path(job.model, plan.digest)
    if summary.sources_done_before == summary.sources and _exists(store, path):
        return
    row = {
        "plan_digest": plan.digest,
        "archive": plan.archive,
        "deployment": job.deployment,
        "model_digest": job.model_digest,
        "config_digest": config_digest(job.segment_frames),
        "calibration_digest": digest(job.calibration),
        "image_digest": os.environ.get("STMAE_IMAGE_DIGEST"),
        "started": started,
        **{name: getattr(summary, name) for name in tabular.RUNS.names if hasattr(summary, name)},
    }
    try:
        store.put(path, tabular.to_parquet(pa.Table.from_pylist([row], schema=tabular.RUNS)))
    except StoreError as error:
        if summary.complete:
            raise
        log.error("%s", error)  # the same trouble that ended the run


def _exists(store: Store, path: str) -> bool:
    try:
        store.get(path)
    except ObjectMissingError:
        return False
    return True
