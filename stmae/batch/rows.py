"""Rows of the tables `scores` and `heatmaps`, rounded so that they compress, and what is read back from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.archive.sources import Source
from stmae.batch.stream import Sample
from stmae.scoring import DETECTORS
from stmae.scoring.normality import FrameValues
from stmae.scoring.raw import TILES, RawScores, Singles

KEPT_BITS = 10
"""Bits of a mantissa that are kept: values differ from what was computed by at most 1 in 2048."""
SHOWN_LOG10_P = 1.0
"""Least -log10 p that a heat map keeps; what one tile in ten exceeds on normal footage is not worth its bytes."""

Steps = npt.NDArray[np.uint8]


class FrameRows:
    """Collects what is known of scored frames; the maps of a second take no more room than one."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._columns: list[Singles] = []
        self._still: list[npt.NDArray[np.bool_]] = []
        self._maps: dict[tuple[str, int], Steps] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def still(self) -> int:
        """Returns how many frames showed nothing new."""
        return sum(int(each.sum()) for each in self._still)

    def add(self, samples: Sequence[Sample], raw: RawScores, values: FrameValues, still: npt.NDArray[np.bool_]) -> None:
        """Adds frames with their raw scores, their values, and whether they showed nothing new."""
        assert len(samples) == len(raw) == len(values) == len(still)
        self._still.append(still)
        self.samples += samples
        self._columns.append(np.column_stack([raw.psnr, raw.memory_distance, values.values]))
        shown = np.where(values.heatmap < SHOWN_LOG10_P, 0.0, values.heatmap)
        steps = np.clip(np.round(shown * tables.HEATMAP_STEPS), 0, 255).astype(np.uint8)
        for sample, each in zip(samples, steps, strict=True):
            key = sample.source, int(sample.time_s)
            self._maps[key] = np.maximum(self._maps[key], each) if key in self._maps else each

    def scores(self, sources: Mapping[str, tuple[Source, datetime | None]]) -> pa.Table:
        """Returns rows of tables.SCORES; `sources` are those of the frames by URI, with their starts."""
        uris = [sample.source for sample in self.samples]
        time_s = np.array([sample.time_s for sample in self.samples], np.float64)
        starts = {uri: None if start is None else _microseconds(start) for uri, (_, start) in sources.items()}
        offsets = np.round(time_s * 1e6).astype(np.int64).tolist()
        wall = [
            None if starts[uri] is None else starts[uri] + offset for uri, offset in zip(uris, offsets, strict=True)
        ]
        values = np.concatenate([np.zeros((0, 3 + len(DETECTORS)), np.float32), *self._columns])
        names = ("psnr", "memory_distance_appearance", "memory_distance_motion", *DETECTORS)
        columns: dict[str, pa.Array] = {
            "source": pa.array(uris, pa.string()),
            "etag": pa.array([sources[uri][0].etag for uri in uris], pa.string()),
            "frame": pa.array([sample.frame for sample in self.samples], pa.int32()),
            "time_s": pa.array(time_s),
            "wall_time": pa.array(wall, pa.int64()).cast(tables.SCORES.field("wall_time").type),
            **{name: pa.array(rounded(values[:, index])) for index, name in enumerate(names)},
            "still": pa.array(np.concatenate([np.zeros(0, np.bool_), *self._still])),
        }
        return pa.Table.from_arrays([columns[name] for name in tables.SCORES.names], schema=tables.SCORES)

    def heatmaps(self, sources: Mapping[str, tuple[Source, datetime | None]]) -> pa.Table:
        """Returns rows of tables.HEATMAPS: the highest -log10 p of each tile in each second with a scored frame."""
        keys = list(self._maps)
        columns = [
            pa.array([uri for uri, _ in keys], pa.string()),
            pa.array([sources[uri][0].etag for uri, _ in keys], pa.string()),
            pa.array([second for _, second in keys], pa.int32()),
            pa.array([each.tobytes() for each in self._maps.values()], tables.HEATMAPS.field("heatmap").type),
        ]
        return pa.Table.from_arrays(columns, schema=tables.HEATMAPS)


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


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
