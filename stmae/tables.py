"""Schemas of the output tables, their version, and where each object lies.

`<tables>/<table>/model=<deployment>-<digest8>/camera=<c>/date=<YYYY-MM-DD>/<key>.parquet`, one object a camera-hour and
table, whose key is the hour; a source without a time has objects of its own. A day that was compacted has one object a
table, whose key is DAY_KEY. `runs` lie in `<tables>/runs/model=<deployment>-<digest8>/<plan digest>.parquet`. Camera,
date and model are in the path (hive partitions), not in the file.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
from typing import NamedTuple, Self
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

SCHEMA_VERSION = 6
UNDATED = "undated"
"""The `date` partition of a source whose path tells no date."""
DAY_KEY = "day"
"""The key of an object that holds all rows of a camera-day; `stmae.batch.days` says how it tells the hours apart."""

STATUSES = ("scored", "truncated", "undecodable", "empty", "missing", "skipped", "gap")
"""What became of a source object, or that there is none."""

MAX_CAMERA_BYTES = 200
"""Length of the percent-encoded name of a camera, at most: file systems allow 255 bytes for `camera=<name>`."""

PARTITIONING = ds.partitioning(
    pa.schema([pa.field("model", pa.string()), pa.field("camera", pa.string()), pa.field("date", pa.string())]),
    flavor="hive",
)
"""For `pyarrow.dataset.dataset`: without it, a camera called 07 would be read as the number 7."""

DETECTORS = ("prediction", "motion", "appearance", "persistence")
"""The detectors, in the order of their columns."""
HEATMAP_STEPS = 32
"""Steps of a heat map's byte for each unit of -log10 p."""

_TIME = pa.timestamp("us", tz="UTC")
_SOURCE = [
    pa.field("source", pa.string(), False, {"meaning": "URI of the source object"}),
    pa.field("etag", pa.string(), False, {"meaning": "its ETag; of a local file, the digest of its bytes"}),
]

SCORES = pa.schema(
    [
        *_SOURCE,
        pa.field("frame", pa.int32(), False, {"meaning": "index of the frame in its source, from 0"}),
        pa.field("time_s", pa.float64(), False, {"meaning": "container time of the frame, seconds"}),
        pa.field("wall_time", _TIME, True, {"meaning": "UTC; null where the path tells no start"}),
        pa.field("psnr", pa.float32(), False, {"meaning": "dB; low means badly predicted"}),
        pa.field("memory_distance_appearance", pa.float32(), False),
        pa.field("memory_distance_motion", pa.float32(), False),
        *(
            pa.field(name, pa.float32(), False, {"meaning": "frame value of the detector; high is anomalous"})
            for name in DETECTORS
        ),
        pa.field("still", pa.bool_(), False, {"meaning": "it showed nothing new, and has what was measured before it"}),
    ]
)
"""Values are rounded so that they compress; events are computed from what is kept."""

HEATMAPS = pa.schema(
    [
        *_SOURCE,
        pa.field("second", pa.int32(), False, {"meaning": "whole second of container time, from 0"}),
        pa.field(
            "heatmap",
            pa.binary(256),
            False,
            {"meaning": f"16x16 tiles by rows: highest -log10 p of the second, {HEATMAP_STEPS} steps a unit"},
        ),
    ]
)

COVERAGE = pa.schema(
    [
        *(field.with_nullable(True) for field in _SOURCE),
        pa.field("inputs", pa.string(), False, {"meaning": "digest of all sources that the camera-hour depends on"}),
        pa.field("bytes", pa.int64(), False),
        pa.field("status", pa.string(), False, {"meaning": ", ".join(STATUSES)}),
        pa.field("reason", pa.string(), True, {"meaning": "why, and what else is worth knowing"}),
        pa.field("start_time", _TIME, True, {"meaning": "UTC; null where the path tells no time"}),
        pa.field("end_time", _TIME, True),
        pa.field("seconds", pa.float64(), False, {"meaning": "of the timeline that the row accounts for"}),
        pa.field("frames_reported", pa.int64(), True, {"meaning": "frames that the source holds, decodable or not"}),
        pa.field("frames_decoded", pa.int64(), False),
        pa.field("frames_scored", pa.int64(), False),
        pa.field("seconds_reported", pa.float64(), True, {"meaning": "duration that the container states"}),
        pa.field("seconds_decoded", pa.float64(), False),
        pa.field("seconds_scored", pa.float64(), False),
    ]
)
"""A row a source; and one a gap, without a source."""

EVENTS = pa.schema(
    [
        *_SOURCE,
        pa.field("event_id", pa.string(), False),
        pa.field(
            "start_source", pa.string(), False, {"meaning": "source in which it starts; source is that of the peak"}
        ),
        pa.field("end_source", pa.string(), False, {"meaning": "source in which it ends"}),
        pa.field("start_frame", pa.int32(), False),
        pa.field("peak_frame", pa.int32(), False),
        pa.field("end_frame", pa.int32(), False),
        pa.field("start_s", pa.float64(), False),
        pa.field("peak_s", pa.float64(), False),
        pa.field("end_s", pa.float64(), False),
        pa.field("start_time", _TIME, True),
        pa.field("peak_time", _TIME, True),
        pa.field("end_time", _TIME, True),
        pa.field("score", pa.float64(), False, {"meaning": "log10 of the return period in hours"}),
        pa.field(
            "return_period_hours",
            pa.float64(),
            False,
            {"meaning": "hours of normal footage in which one such event is met, on average"},
        ),
        pa.field("bounded", pa.bool_(), False, {"meaning": "the event is rarer than return_period_hours can tell"}),
        pa.field("calibration_hours", pa.float64(), False, {"meaning": "normal footage that the figure rests on"}),
        pa.field("detector", pa.string(), False, {"meaning": "lowest p-value at the peak: " + ", ".join(DETECTORS)}),
        pa.field("box_left", pa.float32(), False, {"meaning": "fraction of the frame's width"}),
        pa.field("box_top", pa.float32(), False),
        pa.field("box_right", pa.float32(), False),
        pa.field("box_bottom", pa.float32(), False),
        pa.field("thumbnail", pa.string(), True, {"meaning": "key of a JPEG below the tables' root"}),
        pa.field("calibration_digest", pa.string(), False),
    ]
)

RUNS = pa.schema(
    [
        pa.field("plan_digest", pa.string(), False),
        pa.field("archive", pa.string(), False),
        pa.field("deployment", pa.string(), False),
        pa.field("model_digest", pa.string(), False),
        pa.field("config_digest", pa.string(), False),
        pa.field("calibration_digest", pa.string(), False),
        pa.field("image_digest", pa.string(), True, {"meaning": "of the container image; null outside one"}),
        pa.field("sources", pa.int64(), False),
        pa.field("sources_done_before", pa.int64(), False),
        pa.field("sources_scored", pa.int64(), False),
        pa.field("sources_failed", pa.int64(), False),
        pa.field("frames_scored", pa.int64(), False),
        pa.field("events", pa.int64(), False),
        pa.field(
            "attempts",
            pa.int64(),
            False,
            {"meaning": "tries at sources; more than sources where a server failed"},
        ),
        pa.field("started", _TIME, False),
        pa.field("seconds", pa.float64(), False),
    ]
)

SCHEMAS = {"scores": SCORES, "heatmaps": HEATMAPS, "coverage": COVERAGE, "events": EVENTS, "runs": RUNS}
UNIT_TABLES = ("scores", "heatmaps", "events", "coverage")
"""Those of camera-hours, in the order in which they are written: where coverage rows are, all the rest is there."""


def source_key(uri: str) -> str:
    """Returns a name made of a source's URI, for its pictures and, where its path tells no time, for its objects."""
    return hashlib.sha256(uri.encode()).hexdigest()[:32]


def utf8(name: str) -> str:
    """Returns the name of a file as text that can be written anywhere: bytes that are not UTF-8 become \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@functools.lru_cache(maxsize=4096)
def camera_name(name: str) -> str:
    """Returns the name of a camera as tables hold it: as it is, unless it is not UTF-8 or too long for a folder.

    Bytes that are not UTF-8 are written as \\xNN; what is too long is cut, and ends with a digest of the whole.
    """
    text = utf8(name)
    if len(quote(text, safe="")) <= MAX_CAMERA_BYTES:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    kept = text
    while len(quote(kept, safe="")) > MAX_CAMERA_BYTES - len(digest) - 1:
        kept = kept[:-1]
    return f"{kept}~{digest}"


class Partition(NamedTuple):
    """Where rows lie. Any text is a camera: it is percent-encoded, as Hive does and as readers undo."""

    model: str
    """`<deployment>-<digest8>`."""
    camera: str
    date: str
    """YYYY-MM-DD or UNDATED."""

    def folder(self, table: str) -> str:
        """Returns the folder below the tables' root, with a slash at its end."""
        return f"{table}/model={self.model}/camera={quote(self.camera, safe='')}/date={self.date}/"

    @classmethod
    def of(cls, path: str) -> Self | None:
        """Returns the partition that a path below the tables' root lies in; None where it lies in none."""
        found = re.fullmatch(r"[^/]+/model=([^/]+)/camera=([^/]+)/date=([^/]+)/[^/]+", path)
        return cls(found[1], unquote(found[2]), found[3]) if found else None


def object_path(table: str, partition: Partition, key: str) -> str:
    """Returns the path of a camera-hour's rows below the tables' root; the same `key` overwrites its own rows."""
    if table not in UNIT_TABLES:
        raise ValueError(f"no table {table!r} of camera-hours; tables: {', '.join(UNIT_TABLES)}")
    return f"{partition.folder(table)}{key}.parquet"


def object_key(path: str) -> str | None:
    """Returns the key of an object with rows; None for another file, e.g. a write that was cut off."""
    name = path.rpartition("/")[2]
    return name.removesuffix(".parquet") if name.endswith(".parquet") and not name.startswith(".") else None


def run_path(model: str, plan_digest: str) -> str:
    """Returns the path of a run's row below the tables' root: a plan that is run again overwrites its row."""
    return f"runs/model={model}/{plan_digest[:32]}.parquet"


def thumbnail_path(partition: Partition, key: str, frame: int) -> str:
    """Returns the path of the picture of a source's frame below the tables' root."""
    return f"{partition.folder('thumbnails')}{key}-{frame:06d}.jpg"


def to_parquet(table: pa.Table) -> bytes:
    """Serialises with fixed settings: equal rows give equal bytes (for one pyarrow version).

    The key-value metadata of the table's schema are kept.
    """
    names = {field.name: field.type for field in table.schema}
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=9,
        use_dictionary=[name for name, kind in names.items() if pa.types.is_string(kind)],
        use_byte_stream_split=[name for name, kind in names.items() if pa.types.is_floating(kind)],
        column_encoding={
            name: "DELTA_BINARY_PACKED"
            for name, kind in names.items()
            if pa.types.is_integer(kind) or pa.types.is_timestamp(kind)
        },
        # What a hive of small files would repeat: pyarrow's own copy of the schema, and bounds that nobody filters by.
        store_schema=False,
        write_statistics=[
            name for name, kind in names.items() if pa.types.is_integer(kind) or pa.types.is_timestamp(kind)
        ],
    ) as writer:
        writer.write_table(table)
        if table.schema.metadata:
            writer.add_key_value_metadata(table.schema.metadata)
    return sink.getvalue()
