"""When jobs run: their schedules, their deadlines, and that the tables' upkeep keeps away from the night."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import re
import zoneinfo
from collections.abc import Iterator

from k8s.check.cron import Cron, CronError
from k8s.check.overlay import Check, Document, Overlay
from k8s.check.pods import pods
from k8s.check.promql import ExpressionError, selectors

NIGHTS = {"stmae-night": "stmae-night", "stmae-start": "stmae-night"}
"""CronJobs that begin a night, and the name of the job that is the night."""
UPKEEP = "stmae-compact"
FIRST, DAYS = datetime.date(2026, 1, 1), 400
"""Days over which schedules are compared: a year, with both changes of the clock, and the turn of the next."""
CONTROLLER_SECONDS = 10
"""The CronJob controller looks so often; with a shorter starting deadline a job may never start."""


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The longest time in which a job may be at work."""

    start: datetime.datetime
    end: datetime.datetime


def crons(overlay: Overlay) -> Iterator[Check]:
    """Checks expressions and time zones, and that no run begins beside another."""
    for job in overlay.of("CronJob"):
        try:
            Cron.parse(str(job.get("spec.schedule")))
            wrong = ""
        except CronError as error:
            wrong = f"{error}; mend it in k8s/site/site.env"
        yield job.check("spec.schedule", not wrong, wrong)
        zone = job.get("spec.timeZone")
        wrong = f"{zone!r} is no IANA time zone, such as Europe/Berlin; mend it in k8s/site/site.env"
        yield job.check("spec.timeZone", _zone(zone) is not None, wrong)
        policy = job.get("spec.concurrencyPolicy")
        yield job.check("spec.concurrencyPolicy", policy == "Forbid", f"is {policy}; two runs at a time must not be")


def deadlines(overlay: Overlay) -> Iterator[Check]:
    """Checks that each job has deadlines, and has ended before its next run is due."""
    for job in overlay.of("CronJob"):
        starting = job.get("spec.startingDeadlineSeconds")
        good = isinstance(starting, int) and starting > CONTROLLER_SECONDS
        yield job.check(
            "spec.startingDeadlineSeconds", good, f"set more than {CONTROLLER_SECONDS}: how late is too late"
        )
        template = "spec.jobTemplate.spec"
        for field in (
            f"{template}.activeDeadlineSeconds",
            f"{template}.ttlSecondsAfterFinished",
            f"{template}.backoffLimit",
        ):
            yield job.check(field, isinstance(job.get(field), int), "set it")
        work = _work(job, overlay)
        field, seconds = _deadline(work)
        period = _period(job)
        if period is not None and seconds:
            longest = int(seconds + (starting or 0) + _grace(work, overlay))
            good = longest < period
            wrong = (
                f"is {seconds}: with the latest start and the end of its pods a run may take {longest} seconds, but "
                f"the next one is due after {period:.0f}; lower it, or start less often"
            )
            yield work.check(field, good, wrong)


def apart(overlay: Overlay) -> Iterator[Check]:
    """Checks that the upkeep of the tables cannot run while a night does, at any time of a year."""
    upkeep = overlay.find("CronJob", UPKEEP)
    nights = [job for job in overlay.of("CronJob") if job.name in NIGHTS]
    if upkeep is None:
        return
    for night in nights:
        busy = _spans(night, overlay)
        meets = next((span for span in _spans(upkeep, overlay) if _meet(span, busy)), None)
        wrong = ""
        if meets:
            wrong = (
                f"may be at work from {meets.start:%Y-%m-%d %H:%M} UTC on, while a night still may; move "
                "COMPACT_SCHEDULE in k8s/site/site.env, or shorten activeDeadlineSeconds of the night"
            )
        yield upkeep.check("spec.schedule", not wrong, wrong)


def told(overlay: Overlay) -> Iterator[Check]:
    """Checks that an alert tells of a night that fails, also by its deadline."""
    watched: list[str] = []
    for rule in overlay.of("PrometheusRule"):
        for group in rule.get("spec.groups", []):
            for alert in group["rules"]:
                try:
                    found = selectors(str(alert.get("expr")))
                except ExpressionError:
                    continue  # another rule tells
                watched += [each.labels.get("job_name", "") for each in found if each.metric == "kube_job_failed"]
    for job in overlay.of("CronJob"):
        if job.name in NIGHTS:
            work = _work(job, overlay)
            good = any(re.fullmatch(pattern, f"{work.name}-20261101") for pattern in watched)
            wrong = "no alert looks at kube_job_failed of its jobs: a night that its deadline ends would go unnoticed"
            yield work.check(_deadline(work)[0], good, wrong)
            if work.kind == "RayJob":
                field = "spec.submitterPodTemplate.spec.activeDeadlineSeconds"
                good = 0 < int(work.get(field, 0)) < _deadline(work)[1]
                wrong = "must be below that of the RayJob, which leaves no failed job for the alert to see"
                yield work.check(field, good, wrong)


def _work(job: Document, overlay: Overlay) -> Document:
    """Returns the document that does the work that a CronJob begins."""
    ray = overlay.find("RayJob", NIGHTS.get(job.name, ""))
    return ray if ray is not None and job.name == "stmae-start" else job


def _deadline(work: Document) -> tuple[str, int]:
    field = "spec.activeDeadlineSeconds" if work.kind == "RayJob" else "spec.jobTemplate.spec.activeDeadlineSeconds"
    return field, int(work.get(field, 0))


def _grace(work: Document, overlay: Overlay) -> int:
    return max(
        (pod.spec.get("terminationGracePeriodSeconds", 30) for pod in pods(overlay) if pod.document is work), default=30
    )


def _starts(job: Document) -> list[datetime.datetime]:
    zone = _zone(job.get("spec.timeZone"))
    try:
        return list(Cron.parse(str(job.get("spec.schedule"))).starts(zone, FIRST, DAYS)) if zone else []
    except CronError:
        return []  # another rule tells


def _period(job: Document) -> float | None:
    starts = _starts(job)
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(starts)]
    return min(gaps, default=None)


def _spans(job: Document, overlay: Overlay) -> list[Span]:
    work = _work(job, overlay)
    late = int(job.get("spec.startingDeadlineSeconds", 0)) + _deadline(work)[1] + _grace(work, overlay)
    return [Span(start, start + datetime.timedelta(seconds=late)) for start in _starts(job)]


def _meet(span: Span, busy: list[Span]) -> bool:
    return any(other.start < span.end and span.start < other.end for other in busy)


def _zone(name: object) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(str(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
