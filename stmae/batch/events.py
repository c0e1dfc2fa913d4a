"""Events: a pure function of a source's rows in `scores` and a calibration. No video, no server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.batch.rows import raw_scores_of
from stmae.scoring.calibration import Calibration
from stmae.scoring.combine import tile_map
from stmae.scoring.localization import peak_box
from stmae.scoring.norm import Kind
from stmae.scoring.raw import Interval, hysteresis

FPS_OF_ONE_FRAME = 25.0
"""Where a source has a single scored frame, there is no distance in time to measure."""

Floats = npt.NDArray[np.floating]


def events_table(scores: pa.Table, calibration: Calibration, partition: tables.Partition) -> pa.Table:
    """The anomalous intervals of one source. `scores` are its rows, in the order of their frames.

    `partition` is that of the rows; it names the thumbnails. Returns rows of tables.EVENTS in order of time.
    """
    if scores.num_rows == 0:
        return tables.EVENTS.empty_table()
    time_s = scores["time_s"].to_numpy()
    fps = frame_rate(time_s)
    surprises = calibration.surprises(raw_scores_of(scores), fps)
    curve = calibration.curve(surprises, fps)
    intervals = hysteresis(
        curve,
        calibration.enter,
        calibration.exit,
        min_frames=max(1, round(calibration.min_seconds * fps)),
        merge_frames=round(calibration.merge_seconds * fps),
    )
    digest = calibration.digest()
    rows = [
        _times(scores, interval, partition)
        | _place({kind: tiles[interval.peak] for kind, tiles in surprises.items()})
        | {"peak_score": float(curve[interval.peak]), "calibration_digest": digest}
        for interval in intervals
    ]
    return pa.Table.from_pylist(rows, schema=tables.EVENTS)


def frame_rate(time_s: Floats) -> float:
    """Frames a second of a source, from the container times of its frames."""
    steps = np.diff(time_s)
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if len(steps) else FPS_OF_ONE_FRAME


def _times(scores: pa.Table, interval: Interval, partition: tables.Partition) -> dict[str, Any]:
    """When: which frames of which source."""
    positions = [interval.start, interval.peak, interval.end]
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


def _place(surprises: Mapping[Kind, Floats]) -> dict[str, Any]:
    """Where, and what is odd there: of the surprises at the peak, [16,16] a kind."""
    odd = tile_map(surprises)
    oddest = int(odd.argmax())
    left, top, right, bottom = peak_box(odd)
    return {
        "kind": max(surprises, key=lambda kind: surprises[kind].flat[oddest]),
        "box_left": left,
        "box_top": top,
        "box_right": right,
        "box_bottom": bottom,
        "tiles": odd.ravel(),
    }
