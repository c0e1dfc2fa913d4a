"""What a run tells Prometheus while it works: the counts of its status, and what is left of the archive.

A job ends when its work is done, and its last counts with it. So the server stays until it was asked once after the end
of the run, for at most LINGER_SECONDS.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from stmae import tables
from stmae.archive.timeline import Unit
from stmae.batch.status import Status
from stmae.batch.worker import REASONS, Outcome

LINGER_SECONDS = 60.0
"""So long a run that has ended waits for its last counts to be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is exposed."""

    kind: Literal["counter", "gauge"]
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()
    """What the label may say, where that is known beforehand."""


SOURCE_STATUSES = tuple(status for status in tables.STATUSES if status != "gap")
METRICS: Mapping[str, Metric] = {
    "stmae_batch_units_total": Metric(
        "counter", "Camera-hours whose rows were written (done) or not (failed)", "status", ("done", "failed")
    ),
    "stmae_batch_sources_total": Metric(
        "counter", "Sources by the status of their coverage rows", "status", SOURCE_STATUSES
    ),
    "stmae_batch_frames_scored_total": Metric("counter", "Frames that got scores", "deployment"),
    "stmae_batch_seconds_scored_total": Metric("counter", "Seconds of footage that got scores"),
    "stmae_batch_failures_total": Metric("counter", "What could not be read, scored or written", "reason", REASONS),
    "stmae_batch_bytes_read_total": Metric("counter", "Bytes of sources that were read from the archive"),
    "stmae_batch_events_total": Metric("counter", "Events found"),
    "stmae_batch_work_left_bytes": Metric("gauge", "Size of the sources of camera-hours that are not wholly scored"),
    "stmae_batch_archive_lag_seconds": Metric(
        "gauge", "Age of the oldest source with a time whose camera-hour waits for its rows; 0 where none does"
    ),
    "stmae_batch_last_success_timestamp_seconds": Metric(
        "gauge", "When a run into these tables last left nothing undone, seconds since 1970"
    ),
}
"""Every metric by its name."""
Samples = Mapping[str, float | Mapping[str, float]]
"""By name a number, or numbers by the value of the label."""


class MetricsError(OSError):
    """The metrics cannot be served; the message says why and the mend."""


class Metrics(Collector):
    """The metrics of one run. Its counts are those of the run's status; a scrape may come at any time."""

    def __init__(self) -> None:
        self.read_after_end = threading.Event()
        """Set once the counts of a run that has ended were read."""
        self._status: Status | None = None
        self._left: list[tuple[datetime, tuple[str, str, str]]] | None = None
        self._bytes_left = 0
        self._done: set[tuple[str, str, str]] = set()
        self._last_success: datetime | None = None
        self._ended = False

    def begin(self, status: Status, left: Sequence[Unit], last_success: datetime | None) -> None:
        """Takes the status that the run keeps, the units that it is to score, and when a run last succeeded."""
        self._status, self._last_success = status, last_success
        # The oldest last, so that what is done is taken off the end.
        times = ((_oldest(unit), _name(unit)) for unit in left)
        self._left = sorted(((when, name) for when, name in times if when is not None), reverse=True)
        self._bytes_left = sum(map(_size, left))

    def enter(self, outcome: Outcome) -> None:
        """Takes off a unit whose rows were written; one with sources that could not be read stays work."""
        if outcome.statuses and self._left is not None:
            self._done.add(_name(outcome.unit))
            self._bytes_left -= 0 if outcome.unread else _size(outcome.unit)
            while self._left and self._left[-1][1] in self._done:
                self._left.pop()

    def end(self, *, complete: bool) -> None:
        """Notes that the run has ended, and whether it left nothing undone."""
        self._last_success = datetime.now(UTC) if complete else self._last_success
        self._ended = True

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yields every metric; one that is not known yet has no sample."""
        ended, samples = self._ended, {**self._counts(), **self._gauges()}
        for name, metric in METRICS.items():
            labels = [metric.label] if metric.label else []
            family: CounterMetricFamily | GaugeMetricFamily
            if metric.kind == "counter":
                family = CounterMetricFamily(name, metric.help, labels=labels)
            else:
                family = GaugeMetricFamily(name, metric.help, labels=labels)
            found = samples.get(name)
            if isinstance(found, Mapping):
                for value in metric.values or found:
                    family.add_metric([value], found.get(value, 0))
            elif found is not None:
                family.add_metric([], found)
            yield family
        if ended:
            self.read_after_end.set()

    def _counts(self) -> Samples:
        status = self._status
        return {
            "stmae_batch_units_total": {"done": status.hours_done, "failed": status.hours_failed} if status else {},
            "stmae_batch_sources_total": status.sources if status else {},
            "stmae_batch_frames_scored_total": {status.deployment: status.frames_scored} if status else {},
            "stmae_batch_seconds_scored_total": status.seconds_scored if status else 0,
            "stmae_batch_failures_total": status.reasons if status else {},
            "stmae_batch_bytes_read_total": status.bytes_read if status else 0,
            "stmae_batch_events_total": status.events if status else 0,
        }

    def _gauges(self) -> Samples:
        gauges: dict[str, float] = {}
        if self._left is not None:
            oldest = next((when for when, _ in self._left[-1:]), None)
            gauges["stmae_batch_work_left_bytes"] = self._bytes_left
            gauges["stmae_batch_archive_lag_seconds"] = max(0.0, time.time() - oldest.timestamp()) if oldest else 0.0
        if self._last_success is not None:
            gauges["stmae_batch_last_success_timestamp_seconds"] = self._last_success.timestamp()
        return gauges


@contextlib.contextmanager
def serving(metrics: Metrics, port: int, host: str = "0.0.0.0") -> Iterator[None]:
    """Answers `/metrics` on a port. Raises MetricsError where the port cannot be had."""
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise MetricsError(f"metrics port {port}: {error.strerror}; choose another with --metrics-port") from None
    try:
        yield
        metrics.read_after_end.wait(LINGER_SECONDS)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _oldest(unit: Unit) -> datetime | None:
    """Returns when the first recording of a unit ends, or begins where its name tells no end."""
    ends = (source.place.end or source.place.start for source in unit.own if source.skipped is None)
    return min((end for end in ends if end is not None), default=None)


def _name(unit: Unit) -> tuple[str, str, str]:
    """Returns what a unit is told by: one that comes back from another process is another object."""
    return unit.camera, unit.date, unit.key


def _size(unit: Unit) -> int:
    return sum(source.size for source in unit.own)
