"""Events of the tables: a pure function of the rows of `scores` and `heatmaps` and a calibration."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from stmae import tables
from stmae.batch.rows import heatmap_of, values_of
from stmae.batch.stream import GAP_SECONDS
from stmae.scoring import DETECTORS
from stmae.scoring.calibration import Calibration
from stmae.scoring.events import Event, find_events
from stmae.scoring.localization import peak_box
from stmae.storage.document import digest

Place = tuple[str, int]
"""Source and second."""


def events_table(
    scores: pa.Table, heatmaps: pa.Table, calibration: Calibration, partition: tables.Partition
) -> pa.Table:
    """Returns the events of a camera-hour as rows of tables.EVENTS in order of time. Needs no video and no server.

    `scores` and `heatmaps` are its rows in the order in which they are stored; `partition` is that of the rows and
    names the thumbnails.
    """
    keys = zip(heatmaps["source"].to_pylist(), heatmaps["second"].to_pylist(), strict=True)
    maps: dict[Place, bytes] = dict(zip(keys, heatmaps["heatmap"].to_pylist(), strict=True))
    fitted = digest(calibration)
    rows = []
    for run in runs(scores):
        for event in find_events(calibration.scores([values_of(run)]), calibration):
            rows.append(_times(run, event, partition) | _place(run, event, maps) | _rarity(event, calibration, fitted))
    return pa.Table.from_pylist(rows, schema=tables.EVENTS)


def runs(scores: pa.Table) -> list[pa.Table]:
    """Cuts rows of tables.SCORES where the camera's timeline has a gap: no event goes on over it."""
    if scores.num_rows == 0:
        return []
    wall = scores["wall_time"].cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6  # NaN where there is none
    timed = ~np.isnan(wall[1:]) & ~np.isnan(wall[:-1])
    source = np.unique(scores["source"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    along = np.where(timed, np.diff(wall), np.diff(scores["time_s"].to_numpy()))
    cuts = np.flatnonzero((along > GAP_SECONDS) | (~timed & (np.diff(source) != 0))) + 1
    bounds = [0, *cuts.tolist(), scores.num_rows]
    return [scores.slice(start, stop - start) for start, stop in itertools.pairwise(bounds)]


def _times(scores: pa.Table, event: Event, partition: tables.Partition) -> dict[str, Any]:
    positions = [event.start, event.peak, event.end]
    start, peak, end = scores.select(["source", "etag", "frame", "time_s", "wall_time"]).take(positions).to_pylist()
    source, etag, frame = peak["source"], peak["etag"], peak["frame"]
    return {
        "source": source,
        "etag": etag,
        "event_id": hashlib.sha256(f"{source}\n{etag}\n{frame}".encode()).hexdigest()[:16],
        "start_source": start["source"],
        "end_source": end["source"],
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


def _place(scores: pa.Table, event: Event, maps: dict[Place, bytes]) -> dict[str, Any]:
    """Returns the box around the highest tiles of the peak's second."""
    second = int(np.floor(scores["time_s"][event.peak].as_py()))
    box = peak_box(heatmap_of(maps[scores["source"][event.peak].as_py(), second]))
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
