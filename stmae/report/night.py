"""The morning report of the tables as one self-contained HTML page: what was not looked at, then the events."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stmae import tables as tabular
from stmae.report.events import with_pictures
from stmae.report.page import render
from stmae.report.rows import Row, find_objects, path_columns, read_objects
from stmae.report.timeline import TROUBLE, strips_of
from stmae.report.wording import STATUSES, duration, video
from stmae.scoring import CLAIM
from stmae.storage import FileStore, Store, open_store

SHOWN_EVENTS = 60
"""Events with pictures; a page with more is read by nobody."""
SHOWN_MISSED = 30
"""Lines of the list of videos that were not looked at."""
COVERAGE = [
    *("source", "status", "reason", "start_time", "end_time", "seconds"),
    *("frames_decoded", "seconds_reported", "seconds_decoded", "seconds_scored"),
]
"""Columns of the table `coverage` that a report tells of."""
LAST_HOUR = ("23", tabular.DAY_KEY)
"""Keys of the objects with the recordings that may go on after midnight."""


class ReportError(ValueError):
    """There is nothing to report on; the message says where and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Night:
    """The rows that a report tells of, with the columns of their partitions."""

    store: Store
    model: str
    date: str | None
    coverage: pa.Table
    """Columns COVERAGE."""
    timelines: dict[str, pa.Table]
    """The same rows by camera; of a day's report, those of the last hour of the day before too."""
    days: dict[str, list[str]]
    """By camera: the days of the report from the camera's first on, so that one that fell silent is told."""
    events: list[Row]
    """The rarest first."""
    runs: list[Row]
    """Newest first."""


class Untimed(NamedTuple):
    """A camera's line in the table of videos without times."""

    camera: str
    videos: int
    seconds_scored: float
    events: int
    statuses: list[tuple[str, int]]


def night_report(tables: str, model: str | None, date: str | None, out: Path) -> Path:
    """Writes the report of the tables at `tables` (path, file:// or s3://) to `out` and returns it.

    `model` is a partition, `<deployment>-<digest8>`; None takes that of the newest run. `date` (YYYY-MM-DD) keeps one
    day. Raises ReportError where the tables hold no such rows, StoreError where they cannot be read or `out`
    cannot be written.
    """
    night = read_night(open_store(tables), model, date)
    FileStore(out.absolute().parent).put(out.name, page_of(night).encode("utf-8"))
    return out


def read_night(store: Store, model: str | None, date: str | None) -> Night:
    """Collects the rows. Raises ReportError, StoreError."""
    runs = _rows(read_objects(store, find_objects(store, "runs/")))
    runs.sort(key=lambda row: (row["started"], row["plan_digest"]), reverse=True)
    models = list(dict.fromkeys(row["model"] for row in runs))
    if not models:
        raise ReportError(f"{store.root}: no run is recorded there; score an archive first, or correct the URI")
    model = model or models[0]
    if model not in models:
        raise ReportError(f"{store.root}: no run of model {model!r}; there are {', '.join(models)}")
    paths = find_objects(store, f"coverage/model={model}/")
    coverage = read_objects(store, _of_day(paths, date), COVERAGE)
    if not coverage:
        when = f" on {date}" if date else ""
        raise ReportError(f"{store.root}: no source of model {model!r}{when} is covered; check the date")
    events = _rows(read_objects(store, _of_day(find_objects(store, f"events/model={model}/"), date)))
    return Night(
        store=store,
        model=model,
        date=date,
        coverage=pa.concat_tables(coverage),
        timelines=_by_camera([*(_evening(store, paths, date) if date else []), *coverage]),
        days=_days(paths, date),
        events=sorted(events, key=lambda row: (-row["score"], row["source"], row["peak_frame"])),
        runs=[run for run in runs if run["model"] == model],
    )


def page_of(night: Night) -> str:
    """Returns the whole HTML document."""
    coverage = night.coverage
    missed = coverage.filter(pc.field("status").isin(list(TROUBLE)))
    strips = list(strips_of(night.timelines, night.events, night.days))
    return render(
        "night.html.j2",
        title=f"Night report{f' for {night.date}' if night.date else ''}",
        night=night,
        cameras=len(night.timelines.keys() | night.days.keys()),
        videos=coverage.num_rows - coverage["source"].null_count,
        seconds_scored=pc.sum(coverage["seconds_scored"]).as_py() or 0.0,
        unfinished=_unfinished(night.runs),
        silent=list(dict.fromkeys(strip.camera for strip in strips if not strip.recorded)),
        strips=strips,
        several_days=len({strip.date for strip in strips}) > 1,
        legend=[(name, words) for name, words in STATUSES.items() if any(strip.seconds[name] for strip in strips)],
        missed=missed.num_rows,
        lines=missed.take(
            pc.select_k_unstable(missed, SHOWN_MISSED, [("camera", "ascending"), ("source", "ascending")])
        ).to_pylist(),
        statuses=_counts(missed["status"]),
        untimed=_untimed(night),
        events=with_pictures(night.store, night.events[:SHOWN_EVENTS]),
        bound_factor=CLAIM,
        video=video,
        seconds_missed=_seconds_missed,
    )


def _of_day(paths: Sequence[str], date: str | None) -> list[str]:
    return [path for path in paths if date is None or path_columns(path)["date"] == date]


def _evening(store: Store, paths: Sequence[str], date: str) -> list[pa.Table]:
    """Returns the coverage of the recordings that began on the day before and go on after midnight."""
    midnight = datetime.fromisoformat(date).replace(tzinfo=UTC)
    before = f"{midnight - timedelta(days=1):%Y-%m-%d}"
    last = [path for path in _of_day(paths, before) if path_columns(path)["key"] in LAST_HOUR]
    return read_objects(store, last, COVERAGE, pc.field("end_time") > pa.scalar(midnight))


def _rows(tables: Iterable[pa.Table]) -> list[Row]:
    return [row for table in tables for row in table.to_pylist()]


def _by_camera(tables: Iterable[pa.Table]) -> dict[str, pa.Table]:
    cameras: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for table in tables:
        if table.num_rows:
            cameras[table["camera"][0].as_py()].append(table)
    return {camera: pa.concat_tables(parts) for camera, parts in cameras.items()}


def _days(paths: Sequence[str], date: str | None) -> dict[str, list[str]]:
    """Returns the days of the report that each camera's timeline is drawn for: those from its first on."""
    first: dict[str, str] = {}
    for names in map(path_columns, paths):
        if names["date"] != tabular.UNDATED:
            first[names["camera"]] = min(names["date"], first.get(names["camera"], names["date"]))
    dates = [date] if date else sorted({path_columns(path)["date"] for path in paths} - {tabular.UNDATED})
    return {camera: [each for each in dates if each >= since] for camera, since in sorted(first.items())}


def _unfinished(runs: Sequence[Row]) -> list[Row]:
    """Returns the runs that left videos undone and that no later run of at least as much of the archive followed."""
    return [
        run
        for number, run in enumerate(runs)
        if run["sources_failed"]
        and not any(
            later["archive"] == run["archive"] and later["sources"] >= run["sources"] for later in runs[:number]
        )
    ]


def _untimed(night: Night) -> list[Untimed]:
    """Returns the lines of the cameras with videos whose paths tell no time."""
    untimed = night.coverage.filter(pc.field("start_time").is_null())
    found = Counter(event["camera"] for event in night.events if event["peak_time"] is None)
    lines = []
    for camera in sorted(untimed["camera"].unique().to_pylist()):
        rows = untimed.filter(pc.field("camera") == camera)
        scored = pc.sum(rows["seconds_scored"]).as_py()
        lines.append(Untimed(camera, rows.num_rows, scored, found[camera], _counts(rows["status"])))
    return lines


def _counts(statuses: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Returns how often each status occurs, without those that do not, in order of the tables' statuses."""
    counts = {each["values"]: each["counts"] for each in pc.value_counts(statuses).to_pylist()}
    return [(status, counts[status]) for status in tabular.STATUSES if status in counts]


def _seconds_missed(row: Mapping[str, Any]) -> str:
    """Returns how much footage the container reports and the decoder did not give."""
    if row["seconds_reported"] is None:
        return "unknown" if row["frames_decoded"] else "all of it"
    return duration(max(0.0, row["seconds_reported"] - row["seconds_decoded"]))
