"""The status of a run, which it writes while it works and leaves when it ends: `status/model=<m>/<start>.json`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from stmae.batch.worker import Outcome
from stmae.storage.base import Store, StoreError

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
"""So often a run writes its status, also when nothing has changed."""
SILENT = timedelta(seconds=6 * EVERY_SECONDS)
"""A run that works and has not written for so long is silent."""
LOOKED_AT = 10
"""The last runs, among which one that succeeded is looked for."""
TROUBLES = 5
"""The last failures that the status names."""


@dataclasses.dataclass(kw_only=True, slots=True)
class Status:
    """How far a run is. Times are UTC, in ISO 8601."""

    model: str
    """The tables' partition, `<deployment>-<digest8>`."""
    archive: str
    plan_digest: str
    started: str
    updated: str
    state: Literal["running", "complete", "incomplete"] = "running"
    hours: int
    """Camera-hours that this run is to score."""
    hours_done: int = 0
    hours_failed: int = 0
    """Camera-hours of which nothing could be written."""
    bytes: int
    """Size of their videos."""
    bytes_done: int = 0
    bytes_read: int = 0
    """Size of all sources that were downloaded, those that only warm up among them."""
    sources: dict[str, int] = dataclasses.field(default_factory=dict)
    """Sources by the status of their coverage rows."""
    frames_scored: int = 0
    seconds_scored: float = 0.0
    events: int = 0
    failures: int = 0
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    """Failures by `stmae.batch.worker.REASONS`."""
    last_failures: list[str] = dataclasses.field(default_factory=list)

    @property
    def deployment(self) -> str:
        """Returns the deployment that scores."""
        return self.model.rpartition("-")[0]

    @property
    def path(self) -> str:
        """Returns where it lies below the tables' root; the paths of a model are in order of time."""
        start = datetime.fromisoformat(self.started)
        return f"status/model={self.model}/{start:%Y%m%dT%H%M%S}-{self.plan_digest[:8]}.json"

    def enter(self, outcome: Outcome) -> None:
        """Counts a unit that has ended."""
        self.hours_done += bool(outcome.statuses)
        self.hours_failed += not outcome.statuses
        self.bytes_done += sum(source.size for source in outcome.unit.own)
        self.bytes_read += outcome.bytes_read
        # New ones each time: other threads read them.
        self.sources = dict(Counter(self.sources) + outcome.statuses)
        self.frames_scored += outcome.frames_scored
        self.seconds_scored += outcome.seconds_scored
        self.events += outcome.events
        self.failures += len(outcome.failures)
        self.reasons = dict(Counter(self.reasons) + Counter({outcome.reason: len(outcome.failures)}))
        self.last_failures = [*self.last_failures, *outcome.failures][-TROUBLES:]

    def derived(self, now: datetime) -> dict[str, float | bool | None]:
        """Returns what follows from it: frames a second so far, seconds that are left, and whether it is silent.

        The time left is None where nothing is done yet and of a run that has ended. A silent run says that it works and
        has not written for long: it was killed, or has lost its store.
        """
        updated = datetime.fromisoformat(self.updated)
        seconds = (updated - datetime.fromisoformat(self.started)).total_seconds()
        silent = self.state == "running" and now - updated > SILENT
        going = self.state == "running" and not silent and self.bytes_done > 0
        return {
            "frames_per_second": self.frames_scored / seconds if seconds else 0.0,
            "seconds_left": seconds * (self.bytes - self.bytes_done) / self.bytes_done if going else None,
            "silent": silent,
        }

    def message(self, now: datetime) -> str:
        """Returns it in words."""
        more = self.derived(now)
        state = f"killed, or without its store: not heard of since {self.updated}" if more["silent"] else self.state
        text = (
            f"{self.started} {self.model}: {state}; {self.hours_done} of {self.hours} camera-hours, "
            f"{self.frames_scored} frames at {more['frames_per_second']:.1f} frames/s, {self.events} events"
        )
        if more["seconds_left"] is not None:
            text += f"; about {timedelta(seconds=round(more['seconds_left']))} h left"
        return "\n  ".join([text, *self.last_failures])


@contextlib.contextmanager
def written(store: Store, status: Status) -> Iterator[None]:
    """Writes a status at once, every EVERY_SECONDS, and at the end. A store that fails does not end the run here."""
    over = threading.Event()

    def write() -> None:
        status.updated = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            store.put(status.path, json.dumps(dataclasses.asdict(status), indent=1).encode() + b"\n")
        except StoreError as error:
            log.warning("%s", error)

    def keep_writing() -> None:
        while not over.wait(EVERY_SECONDS):
            write()

    write()
    thread = threading.Thread(target=keep_writing, name="status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        status.state = "incomplete" if status.state == "running" else status.state
        write()


def last_success(store: Store) -> datetime | None:
    """Returns when the last run ended that left nothing undone, UTC; None where none of the last LOOKED_AT did.

    Raises StoreError.
    """
    try:
        ended = [status.updated for status in read_statuses(store, LOOKED_AT) if status.state == "complete"]
    except ValueError as error:  # no reason not to score
        log.warning("%s", error)
        return None
    return datetime.fromisoformat(max(ended)) if ended else None


def read_statuses(store: Store, last: int) -> list[Status]:
    """Returns the statuses of the last runs, newest first. Raises StoreError, ValueError for a file that is none."""
    paths = [item.path for item in store.list("status/") if item.path.endswith(".json")]
    newest = sorted(paths, key=lambda path: path.rpartition("/")[2], reverse=True)[:last]
    found = []
    for path in newest:
        try:
            found.append(Status(**json.loads(store.get(path))))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{store.uri(path)}: not the status of a run ({error}); delete it") from None
    return found
