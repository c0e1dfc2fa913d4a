"""Rows of the table `scores`: the model's evidence, rounded, and back. Events are computed of what was kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stmae import tables
from stmae.batch.plan import Source
from stmae.scoring.raw import CLIP_FRAMES, TILES, RawScores, Singles


def scores_table(source: Source, times: list[float], evidence: RawScores) -> pa.Table:
    """Rows of tables.SCORES for the frames from CLIP_FRAMES on; `times` are those of all frames, seconds."""
    count = len(evidence)
    time_s = np.array(times[CLIP_FRAMES:], np.float64)
    assert len(time_s) == count
    errors = evidence.error_tiles.reshape(count, TILES * TILES)
    peak = errors.argmax(axis=1) if count else np.zeros(0, np.int64)
    wall = pa.nulls(count, tables.SCORES.field("wall_time").type)
    if source.start_time is not None:
        start_us = round(source.start_time.timestamp() * 1_000_000)
        wall = pa.array(start_us + np.round(time_s * 1e6).astype(np.int64)).cast(wall.type)
    columns = {
        "source": pa.array([source.uri] * count, pa.string()),
        "etag": pa.array([source.etag] * count, pa.string()),
        "frame": pa.array(np.arange(CLIP_FRAMES, CLIP_FRAMES + count, dtype=np.int32)),
        "time_s": pa.array(time_s),
        "wall_time": wall,
        "psnr": pa.array(evidence.psnr),
        "memory_distance_appearance": pa.array(np.ascontiguousarray(evidence.memory_distance[:, 0])),
        "memory_distance_motion": pa.array(np.ascontiguousarray(evidence.memory_distance[:, 1])),
        "peak_tile": pa.array(peak.astype(np.int16)),
        "peak_tile_error": pa.array(errors[np.arange(count), peak]),
        "error_tiles": _tiles_column(round_to_8_bits(evidence.error_tiles)),
        "location_tiles": _tiles_column(round_to_8_bits(evidence.location_tiles)),
        "feature_tiles": _tiles_column(round_to_8_bits(evidence.feature_tiles)),
        "flow_x_tiles": _tiles_column(round_to_64ths(evidence.flow_tiles[:, 0])),
        "flow_y_tiles": _tiles_column(round_to_64ths(evidence.flow_tiles[:, 1])),
    }
    return pa.Table.from_arrays([columns[name] for name in tables.SCORES.names], schema=tables.SCORES)


def raw_scores_of(scores: pa.Table) -> RawScores:
    """What rows of tables.SCORES hold of the model's evidence: all of it, tiles rounded."""

    def tiles(name: str) -> Singles:
        values: Singles = pc.list_flatten(scores[name]).to_numpy()
        return values.reshape(-1, TILES, TILES)

    distances = [scores[f"memory_distance_{stream}"].to_numpy() for stream in ("appearance", "motion")]
    return RawScores(
        psnr=scores["psnr"].to_numpy(),
        memory_distance=np.stack(distances, axis=1),
        error_tiles=tiles("error_tiles"),
        location_tiles=tiles("location_tiles"),
        feature_tiles=tiles("feature_tiles"),
        flow_tiles=np.stack([tiles("flow_x_tiles"), tiles("flow_y_tiles")], axis=1),
    )


def round_to_8_bits(values: Singles) -> Singles:
    """Round finite float32 to the nearest value with 8 significant bits; they compress."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def round_to_64ths(values: Singles) -> Singles:
    """Round finite float32 to steps of 1/64: what flow is worth, in pixels. Most of it is then the same zero."""
    rounded = np.round(values * 64) / 64 + 0  # + 0: there is a negative zero too
    return np.asarray(rounded, np.float32)


def _tiles_column(tiles: Singles) -> pa.Array:
    """Lists of 256 values, of [F,16,16]."""
    offsets = pa.array(np.arange(0, tiles.size + 1, TILES * TILES, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(tiles.ravel()), type=tables.SCORES.field("error_tiles").type)
