"""Events: a pure function of a source's rows in `scores` and a calibration. No video, no server."""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.score import TILES, Calibration, Interval, hysteresis

FPS_OF_ONE_FRAME = 25.0
"""Where a source has a single scored frame, there is no distance in time to measure."""
BOX_SHARE = 0.25
"""Share of the highest tile error above which a tile belongs to the odd place."""

Floats = npt.NDArray[np.floating]


def events_table(scores: pa.Table, calibration: Calibration, partition: tables.Partition) -> pa.Table:
    """The anomalous intervals of one source. `scores` are its rows, in the order of their frames.

    `partition` is that of the rows; it names the thumbnails. Returns rows of tables.EVENTS in order of time.
    """
    if scores.num_rows == 0:
        return tables.EVENTS.empty_table()
    time_s = scores["time_s"].to_numpy()
    fps = frame_rate(time_s)
    curve = calibration.score(scores["psnr"].to_numpy().astype(np.float64), fps)
    intervals = hysteresis(
        curve,
        calibration.enter,
        calibration.exit,
        min_frames=max(1, round(calibration.min_seconds * fps)),
        merge_frames=round(calibration.merge_seconds * fps),
    )
    same = {"calibration_digest": calibration.digest()}
    rows = [_row(scores, curve, interval, partition) | same for interval in intervals]
    return pa.Table.from_pylist(rows, schema=tables.EVENTS)


def frame_rate(time_s: Floats) -> float:
    """Frames a second of a source, from the container times of its frames."""
    steps = np.diff(time_s)
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if len(steps) else FPS_OF_ONE_FRAME


def peak_box(error_tiles: Floats) -> tuple[float, float, float, float]:
    """Left, top, right, bottom (fractions of the frame) around the oddest place.

    The place is the tile with the highest error and all tiles above BOX_SHARE of it that touch it, directly or in turn.
    """
    tiles = np.asarray(error_tiles).reshape(TILES, TILES)
    if not tiles.max() > 0:  # a perfect prediction points nowhere
        return 0.0, 0.0, 1.0, 1.0
    _, places = cv2.connectedComponents((tiles > BOX_SHARE * tiles.max()).astype(np.uint8), connectivity=8)
    rows, columns = np.nonzero(places == places.flat[int(tiles.argmax())])
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return float(left / TILES), float(top / TILES), float(right / TILES), float(bottom / TILES)


def _row(scores: pa.Table, curve: Floats, interval: Interval, partition: tables.Partition) -> dict[str, Any]:
    start, peak, end = (
        scores.slice(position, 1).to_pylist()[0] for position in (interval.start, interval.peak, interval.end)
    )
    source, etag, frame = peak["source"], peak["etag"], peak["frame"]
    left, top, right, bottom = peak_box(np.array(peak["error_tiles"]))
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
        "peak_score": float(curve[interval.peak]),
        "box_left": left,
        "box_top": top,
        "box_right": right,
        "box_bottom": bottom,
        "error_tiles": peak["error_tiles"],
        "thumbnail": tables.thumbnail_path(partition, tables.source_key(source), frame),
    }
