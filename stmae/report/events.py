"""The events of a report: each with its rarity in words, its picture and its heat map."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stmae import tables
from stmae.report.pictures import Image, Picture, heat_overlay, jpeg
from stmae.report.rows import Row
from stmae.report.wording import duration, moment, return_period, video
from stmae.storage import ObjectMissingError, Store
from stmae.storage.base import REQUESTS_AT_ONCE

FAINTEST = 2.0
"""The brightest colour of a heat map stands for at least this -log10 p: a map of normal values stays dark."""
BATCH = 4096
"""Seconds of heat maps that are held at the same time."""
NO_PICTURE = np.full((180, 320, 3), 200, np.uint8)

Heatmap = npt.NDArray[np.floating]
"""-log10 p, [16,16]."""


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


def with_pictures(store: Store, rows: Sequence[Row]) -> list[Event]:
    """Returns events with their pictures, as far as the tables hold them. Raises StoreError."""
    heatmaps = _heatmaps(store, rows)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as readers:
        frames = readers.map(lambda row: _thumbnail(store, row["thumbnail"]), rows)
        return [_event(row, frame, heatmaps.get(_peak(row))) for row, frame in zip(rows, frames, strict=True)]


def _event(row: Row, frame: Image | None, heatmap: Heatmap | None) -> Event:
    drawn = None
    if heatmap is not None:
        brightest = max(float(heatmap.max()), FAINTEST)
        drawn = jpeg(heat_overlay(NO_PICTURE if frame is None else frame, heatmap, brightest), "heat map of the peak")
    return Event(
        row=row,
        rarity=return_period(row["return_period_hours"], bounded=row["bounded"]),
        starts=moment(row["start_time"], row["start_s"]),
        peak=moment(row["peak_time"], row["peak_s"]),
        lasts=duration(_lasts(row)),
        video=video(row["source"], row["date"]),
        frame=None if frame is None else jpeg(frame, "frame at the peak"),
        heatmap=drawn,
    )


def _lasts(row: Row) -> float:
    """Returns the length of an event in seconds; one with times may begin in one video and end in another."""
    if row["start_time"] is None:
        return float(row["end_s"] - row["start_s"])
    return float((row["end_time"] - row["start_time"]).total_seconds())


def _peak(row: Row) -> tuple[str, int]:
    """Returns the source and the whole second of an event's peak."""
    return row["source"], int(row["peak_s"])


def _heatmaps(store: Store, rows: Sequence[Row]) -> dict[tuple[str, int], Heatmap]:
    """Returns the heat maps of the events' peaks by source and second, as far as the tables hold them."""
    wanted: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        partition = tables.Partition(row["model"], row["camera"], row["date"])
        wanted[tables.object_path("heatmaps", partition, row["key"])].add(_peak(row))

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as readers:
        found = readers.map(lambda path: _heatmaps_of(store, path, wanted[path]), wanted)
        return {peak: heatmap for each in found for peak, heatmap in each.items()}


def _heatmaps_of(store: Store, path: str, peaks: Container[tuple[str, int]]) -> dict[tuple[str, int], Heatmap]:
    """Returns the heat maps of an object that are those of `peaks`."""
    try:
        rows = pq.ParquetFile(pa.BufferReader(store.get(path)))
    except ObjectMissingError:
        return {}
    found: dict[tuple[str, int], Heatmap] = {}
    for batch in rows.iter_batches(BATCH, columns=["source", "second", "heatmap"]):
        places = zip(batch["source"].to_pylist(), batch["second"].to_pylist(), strict=True)
        found |= {peak: _tiles(batch["heatmap"][at].as_py()) for at, peak in enumerate(places) if peak in peaks}
    return found


def _tiles(steps: bytes) -> Heatmap:
    side = math.isqrt(len(steps))
    return np.frombuffer(steps, np.uint8).reshape(side, side) / np.float32(tables.HEATMAP_STEPS)


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
