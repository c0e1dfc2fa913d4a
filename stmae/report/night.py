"""The morning report of the tables as one self-contained HTML page: what was not looked at, then the events."""

from __future__ import annotations

import dataclasses
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from stmae import tables as tabular
from stmae.report.page import render
from stmae.report.pictures import Image, Picture, heat_overlay, jpeg
from stmae.report.wording import duration, return_period
from stmae.scoring import CLAIM
from stmae.storage import FileStore, ObjectMissingError, Store, StoreError, open_store

SHOWN_EVENTS = 60
"""Events with pictures; a page with more is read by nobody."""
FAINTEST = 2.0
"""The brightest colour of a heat map stands for at least this -log10 p: a map of normal values stays dark."""
NO_PICTURE = np.full((180, 320, 3), 200, np.uint8)

Row = dict[str, Any]
Heatmap = npt.NDArray[np.floating]
"""-log10 p, [16,16]."""


class ReportError(ValueError):
    """There is nothing to report on; the message says where and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Night:
    """The rows that a report tells of; each is a dict of its table's columns and of its partition's."""

    store: Store
    model: str
    date: str | None
    coverage: list[Row]
    """By camera, then source."""
    gaps: list[Row]
    """Where a camera has no recording, in order of time."""
    events: list[Row]
    """The rarest first."""
    runs: list[Row]
    """Newest first."""


class Event(NamedTuple):
    """An event as the page shows it."""

    row: Row
    rarity: str
    starts: str
    peak: str
    lasts: str
    video: str
    frame: Picture | None
    heatmap: Picture | None
    """None where the tables hold no heat map of the peak's second."""


class Gaps(NamedTuple):
    """A camera's line in the table of gaps."""

    camera: str
    gaps: int
    seconds: float
    longest: str


class Camera(NamedTuple):
    """A camera's line in the table of coverage."""

    name: str
    videos: int
    frames_decoded: int
    frames_scored: int
    seconds_decoded: float
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
    runs = sorted(_rows(store, "runs/"), key=lambda row: (row["started"], row["plan_digest"]), reverse=True)
    models = list(dict.fromkeys(row["model"] for row in runs))
    if not models:
        raise ReportError(f"{store.root}: no run is recorded there; score an archive first, or correct the URI")
    model = model or models[0]
    if model not in models:
        raise ReportError(f"{store.root}: no run of model {model!r}; there are {', '.join(models)}")
    coverage = _of_day(_rows(store, f"coverage/model={model}/"), date)
    if not coverage:
        when = f" on {date}" if date else ""
        raise ReportError(f"{store.root}: no source of model {model!r}{when} is covered; check the date")
    return Night(
        store=store,
        model=model,
        date=date,
        coverage=sorted((row for row in coverage if row["source"]), key=lambda row: (row["camera"], row["source"])),
        gaps=sorted((row for row in coverage if not row["source"]), key=lambda row: row["start_time"]),
        events=sorted(
            _of_day(_rows(store, f"events/model={model}/"), date),
            key=lambda row: (-row["score"], row["source"], row["peak_frame"]),
        ),
        runs=[run for run in runs if run["model"] == model],
    )


def page_of(night: Night) -> str:
    """Returns the whole HTML document."""
    return render(
        "night.html.j2",
        title=f"Night report{f' for {night.date}' if night.date else ''}",
        night=night,
        seconds_decoded=sum(row["seconds_decoded"] for row in night.coverage),
        seconds_scored=sum(row["seconds_scored"] for row in night.coverage),
        missed=[row for row in night.coverage if row["status"] != "scored"],
        unfinished=_unfinished(night.runs),
        gaps=[_gaps(name, night) for name in sorted({row["camera"] for row in night.gaps})],
        events=_events(night),
        bound_factor=CLAIM,
        cameras=[_camera(name, night) for name in dict.fromkeys(row["camera"] for row in night.coverage)],
        video_of=_video,
        seconds_missed=_seconds_missed,
    )


def _rows(store: Store, prefix: str) -> list[Row]:
    rows: list[Row] = []
    for item in store.list(prefix):
        if item.trouble is not None:
            raise StoreError(f"{store.uri(item.path)}: {item.trouble}")
        if not item.path.endswith(".parquet"):
            continue
        parts = dict(part.split("=", 1) for part in item.path.split("/") if "=" in part)
        partition = {name: unquote(value) for name, value in parts.items()}
        partition["key"] = item.path.rpartition("/")[2].removesuffix(".parquet")
        rows += [row | partition for row in pq.read_table(io.BytesIO(store.get(item.path))).to_pylist()]
    return rows


def _of_day(rows: Iterable[Row], date: str | None) -> list[Row]:
    return [row for row in rows if date is None or row["date"] == date]


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


def _events(night: Night) -> list[Event]:
    shown = night.events[:SHOWN_EVENTS]
    heatmaps = _heatmaps(night.store, shown)
    return [_event(row, night.store, heatmaps.get((row["source"], int(row["peak_s"])))) for row in shown]


def _event(row: Row, store: Store, heatmap: Heatmap | None) -> Event:
    picture = _thumbnail(store, row["thumbnail"])
    drawn = None
    if heatmap is not None:
        brightest = max(float(heatmap.max()), FAINTEST)
        overlay = heat_overlay(NO_PICTURE if picture is None else picture, heatmap, brightest)
        drawn = jpeg(overlay, "heat map of the peak")
    return Event(
        row=row,
        rarity=return_period(row["return_period_hours"], bounded=row["bounded"]),
        starts=_moment(row["start_time"], row["start_s"]),
        peak=_moment(row["peak_time"], row["peak_s"]),
        lasts=duration(_lasts(row)),
        video=_video(row),
        frame=None if picture is None else jpeg(picture, "frame at the peak"),
        heatmap=drawn,
    )


def _lasts(row: Row) -> float:
    """Returns the length of an event in seconds; one with times may begin in one video and end in another."""
    if row["start_time"] is None:
        return float(row["end_s"] - row["start_s"])
    return float((row["end_time"] - row["start_time"]).total_seconds())


def _heatmaps(store: Store, events: Sequence[Row]) -> dict[tuple[str, int], Heatmap]:
    """Returns the -log10 p [16,16] of the events' peaks by source and second, as far as the tables hold them."""
    wanted: dict[str, set[tuple[str, int]]] = {}
    for row in events:
        partition = tabular.Partition(row["model"], row["camera"], row["date"])
        path = tabular.object_path("heatmaps", partition, row["key"])
        wanted.setdefault(path, set()).add((row["source"], int(row["peak_s"])))
    found: dict[tuple[str, int], Heatmap] = {}
    for path, peaks in wanted.items():
        try:
            table = pq.read_table(io.BytesIO(store.get(path)), columns=["source", "second", "heatmap"])
        except ObjectMissingError:
            continue
        for source, second, heatmap in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if (source, second) in peaks:
                side = math.isqrt(len(heatmap))
                tiles = np.frombuffer(heatmap, np.uint8).reshape(side, side)
                found[source, second] = tiles / np.float32(tabular.HEATMAP_STEPS)
    return found


def _thumbnail(store: Store, path: str | None) -> Image | None:
    """Returns the RGB picture; None where the event has none (that of a rebuilt event may not exist)."""
    if path is None:
        return None
    try:
        data = np.frombuffer(store.get(path), np.uint8)
    except ObjectMissingError:
        return None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _gaps(name: str, night: Night) -> Gaps:
    rows = [row for row in night.gaps if row["camera"] == name]
    longest = max(rows, key=lambda row: row["seconds"])
    text = f"{duration(longest['seconds'])} from {_moment(longest['start_time'], 0.0)}"
    return Gaps(name, len(rows), sum(row["seconds"] for row in rows), text)


def _camera(name: str, night: Night) -> Camera:
    rows = [row for row in night.coverage if row["camera"] == name]
    statuses = Counter(row["status"] for row in rows)
    return Camera(
        name=name,
        videos=len(rows),
        frames_decoded=sum(row["frames_decoded"] for row in rows),
        frames_scored=sum(row["frames_scored"] for row in rows),
        seconds_decoded=sum(row["seconds_decoded"] for row in rows),
        events=sum(event["camera"] == name for event in night.events),
        statuses=[(status, statuses[status]) for status in tabular.STATUSES if statuses[status]],
    )


def _video(row: Mapping[str, Any]) -> str:
    """Returns the last parts of the source's URI, as people know it."""
    uri = unquote(row["source"]) if row["source"].startswith("file:") else row["source"]
    return "/".join(uri.split("/")[-(1 if row["date"] == tabular.UNDATED else 2) :])


def _seconds_missed(row: Mapping[str, Any]) -> str:
    """Returns how much footage the container reports and the decoder did not give."""
    if row["seconds_reported"] is None:
        return "unknown" if row["frames_decoded"] else "all of it"
    return duration(max(0.0, row["seconds_reported"] - row["seconds_decoded"]))


def _moment(wall: Any, seconds: float) -> str:
    return f"{wall:%Y-%m-%d %H:%M:%S} UTC" if wall is not None else f"{duration(seconds)} into the video"
