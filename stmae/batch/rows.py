"""Rows of the tables `scores` and `heatmaps`, rounded so that they compress, and what is read back from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.batch.plan import Source
from stmae.scoring import DETECTORS
from stmae.scoring.normality import FrameValues
from stmae.scoring.raw import CLIP_FRAMES, TILES, RawScores, Singles

KEPT_BITS = 10
"""Bits of a mantissa that are kept: values differ from what was computed by at most 1 in 2048."""
SHOWN_LOG10_P = 1.0
"""Least -log10 p that a heat map keeps; what one tile in ten exceeds on normal footage is not worth its bytes."""


class Sample(NamedTuple):
    """A frame of a source that was sampled."""

    frame: int
    """Its number among the decoded frames of its source, from 0."""
    time_s: float


def scores_table(source: Source, samples: Sequence[Sample], raw: RawScores, values: FrameValues) -> pa.Table:
    """Returns rows of tables.SCORES for the samples from CLIP_FRAMES on; `samples` are all that the model saw."""
    count = len(values)
    time_s = np.array([sample.time_s for sample in samples[CLIP_FRAMES:]], np.float64)
    assert len(time_s) == len(raw) == count
    wall = pa.nulls(count, tables.SCORES.field("wall_time").type)
    if source.place.start is not None:
        start_us = round(source.place.start.timestamp() * 1_000_000)
        wall = pa.array(start_us + np.round(time_s * 1e6).astype(np.int64)).cast(wall.type)
    columns: dict[str, pa.Array] = {
        "source": pa.array([source.uri] * count, pa.string()),
        "etag": pa.array([source.etag] * count, pa.string()),
        "frame": pa.array([sample.frame for sample in samples[CLIP_FRAMES:]], pa.int32()),
        "time_s": pa.array(time_s),
        "wall_time": wall,
        "psnr": pa.array(rounded(raw.psnr)),
        "memory_distance_appearance": pa.array(rounded(raw.memory_distance[:, 0])),
        "memory_distance_motion": pa.array(rounded(raw.memory_distance[:, 1])),
        **{name: pa.array(rounded(values.values[:, i])) for i, name in enumerate(DETECTORS)},
    }
    return pa.Table.from_arrays([columns[name] for name in tables.SCORES.names], schema=tables.SCORES)


def heatmaps_table(source: Source, samples: Sequence[Sample], heatmaps_FRC: Singles) -> pa.Table:
    """Returns rows of tables.HEATMAPS: the highest -log10 p of each tile in each second that has a scored frame."""
    second = np.floor([sample.time_s for sample in samples[CLIP_FRAMES:]]).astype(np.int32)
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    seconds = len(starts)
    highest = np.maximum.reduceat(heatmaps_FRC, starts, axis=0) if seconds else heatmaps_FRC
    shown = np.where(highest < SHOWN_LOG10_P, 0.0, highest)
    steps = np.clip(np.round(shown * tables.HEATMAP_STEPS), 0, 255).astype(np.uint8)
    columns = [
        pa.array([source.uri] * seconds, pa.string()),
        pa.array([source.etag] * seconds, pa.string()),
        pa.array(second[starts]),
        pa.array([each.tobytes() for each in steps], tables.HEATMAPS.field("heatmap").type),
    ]
    return pa.Table.from_arrays(columns, schema=tables.HEATMAPS)


def values_of(scores: pa.Table) -> FrameValues:
    """Returns the detectors' values that rows of tables.SCORES hold, with heat maps of zeros."""
    values = np.stack([scores[name].to_numpy() for name in DETECTORS], axis=1)
    return FrameValues(values, np.zeros((len(values), 0), np.float32))


def heatmap_of(row: bytes) -> npt.NDArray[np.floating]:
    """Returns the heat map of a row of tables.HEATMAPS, [16,16] -log10 p."""
    return np.frombuffer(row, np.uint8).reshape(TILES, TILES) / tables.HEATMAP_STEPS


def rounded(values: Singles) -> Singles:
    """Returns finite float32 rounded to KEPT_BITS bits of mantissa."""
    dropped = 23 - KEPT_BITS
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    half = np.uint32((1 << (dropped - 1)) - 1) + ((bits >> np.uint32(dropped)) & np.uint32(1))  # ties to even
    return ((bits + half) & ~np.uint32((1 << dropped) - 1)).view(np.float32)
