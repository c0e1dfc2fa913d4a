"""Events of the tables: a pure function of the rows of `scores` and `heatmaps` and a calibration."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from stmae import tables
from stmae.batch.rows import heatmap_of, values_of
from stmae.scoring import DETECTORS
from stmae.scoring.calibration import Calibration
from stmae.scoring.events import Event, find_events
from stmae.scoring.localization import peak_box
from stmae.storage.document import digest


def events_table(
    scores: pa.Table, heatmaps: pa.Table, calibration: Calibration, partition: tables.Partition
) -> pa.Table:
    """Returns the events of one source as rows of tables.EVENTS in order of time. Needs no video and no server.

    `scores` and `heatmaps` are the source's rows in the order of their frames; `partition` is that of the rows and
    names the thumbnails.
    """
    if scores.num_rows == 0:
        return tables.EVENTS.empty_table()
    found = find_events(calibration.scores([values_of(scores)]), calibration)
    maps = dict(zip(heatmaps["second"].to_pylist(), heatmaps["heatmap"].to_pylist(), strict=True))
    fitted = digest(calibration)
    rows = [
        _times(scores, event, partition) | _place(scores, event, maps) | _rarity(event, calibration, fitted)
        for event in found
    ]
    return pa.Table.from_pylist(rows, schema=tables.EVENTS)


def _times(scores: pa.Table, event: Event, partition: tables.Partition) -> dict[str, Any]:
    positions = [event.start, event.peak, event.end]
    start, peak, end = scores.select(["source", "etag", "frame", "time_s", "wall_time"]).take(positions).to_pylist()
    source, etag, frame = peak["source"], peak["etag"], peak["frame"]
    return {
        "source": source,
        "etag": etag,
        "event_id": hashlib.sha256(f"{source}\n{etag}\n{frame}".encode()).hexdigest()[:16],
        "start_frame": start["frame"],
        "peak_frame": frame,
        "end_frame": end["frame"],
        "start_s": start["time_s"],
        "peak_s": peak["time_s"],
        "end_s": end["time_s"],
        "start_time": start["wall_time"],
        "peak_time": peak["wall_time"],
        "end_time": end["wall_time"],
        "thumbnail": tables.thumbnail_path(partition, tables.source_key(source), frame),
    }


def _place(scores: pa.Table, event: Event, maps: dict[int, bytes]) -> dict[str, Any]:
    """Returns the box around the highest tiles of the peak's second."""
    second = int(np.floor(scores["time_s"][event.peak].as_py()))
    box = peak_box(heatmap_of(maps[second]))
    return dict(zip(("box_left", "box_top", "box_right", "box_bottom"), box, strict=True))


def _rarity(event: Event, calibration: Calibration, digest: str) -> dict[str, Any]:
    bound = float(np.log10(calibration.bound_hours))
    score = min(event.score, bound)
    return {
        "score": score,
        "return_period_hours": float(10**score),
        "bounded": event.score > bound,
        "calibration_hours": calibration.hours,
        "detector": DETECTORS[event.detector],
        "calibration_digest": digest,
    }
