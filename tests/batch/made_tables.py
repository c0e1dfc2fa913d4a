"""Tables with made-up rows, written as the batch job writes them, for tests of what reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stmae import tables
from stmae.storage.base import Store

MODEL = "gate-0123abcd"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


class MadeTables:
    """Puts rows into a store's tables; each method returns the row with the columns of its partition."""

    def __init__(self, store: Store, model: str = MODEL) -> None:
        self.store = store
        self.model = model

    def video(self, camera: str, name: str = "08-00-00.mp4", *, date: str = "2026-03-01", **columns: Any) -> Any:
        """Covers a video of an hour; it is scored unless `columns` say something else."""
        row = {
            "source": f"file:///archive/{camera}/{date}/{name}",
            "etag": "0",
            "inputs": "0" * 16,
            "bytes": 1000,
            "status": "scored",
            "reason": None,
            "frames_reported": 36_000,
            "frames_decoded": 36_000,
            "frames_scored": 35_996,
            "seconds_reported": 3600.0,
            "seconds_decoded": 3600.0,
            "seconds_scored": 3599.6,
            "start_time": START,
            "end_time": START + timedelta(hours=1),
            "seconds": 3600.0,
        } | columns
        return self._put("coverage", [row], camera, date)[0]

    def gap(self, camera: str, start: datetime, seconds: float, date: str = "2026-03-01") -> None:
        """Adds a stretch without a recording."""
        row = dict.fromkeys(tables.COVERAGE.names) | {
            "inputs": "0" * 16,
            "status": "gap",
            "reason": "no recording",
            "start_time": start,
            "end_time": start + timedelta(seconds=seconds),
            "seconds": seconds,
            **dict.fromkeys(("bytes", "frames_decoded", "frames_scored"), 0),
            **dict.fromkeys(("seconds_decoded", "seconds_scored"), 0.0),
        }
        self._put("coverage", [row], camera, date)

    def events(self, video: dict[str, Any], *columns: dict[str, Any]) -> list[dict[str, Any]]:
        """Adds events to a video, 30 seconds each, one every ten minutes."""
        rows = []
        for number, changes in enumerate(columns):
            start_s = 600.0 * number + 10.2
            times = {"start": start_s, "peak": start_s + 12.7, "end": start_s + 30.0}
            rows.append(
                {
                    "source": video["source"],
                    "etag": video["etag"],
                    "event_id": f"{video['camera']}-{number}",
                    "start_source": video["source"],
                    "end_source": video["source"],
                    **{f"{name}_frame": int(10 * time_s) for name, time_s in times.items()},
                    **{f"{name}_s": time_s for name, time_s in times.items()},
                    **{f"{name}_time": START + timedelta(seconds=time_s) for name, time_s in times.items()},
                    "score": float(np.log10(changes.get("return_period_hours", 960.0))),
                    "return_period_hours": 960.0,
                    "bounded": False,
                    "calibration_hours": 48.0,
                    "detector": "motion",
                    "box_left": 0.25,
                    "box_top": 0.5,
                    "box_right": 0.375,
                    "box_bottom": 0.75,
                    "thumbnail": None,
                    "calibration_digest": "c" * 64,
                }
                | changes
            )
        return self._put("events", rows, video["camera"], video["date"])

    def heatmaps(self, video: dict[str, Any], seconds: dict[int, npt.NDArray[np.floating]]) -> None:
        """Adds the -log10 p [16,16] of some seconds of a video."""
        rows = [
            {
                "source": video["source"],
                "etag": video["etag"],
                "second": second,
                "heatmap": np.round(heatmap * tables.HEATMAP_STEPS).clip(0, 255).astype(np.uint8).tobytes(),
            }
            for second, heatmap in seconds.items()
        ]
        self._put("heatmaps", rows, video["camera"], video["date"])

    def thumbnail(self, video: dict[str, Any], frame: int, image_rgb: npt.NDArray[np.uint8]) -> str:
        """Puts the picture of a frame and returns its path."""
        path = tables.thumbnail_path(self._partition(video), tables.source_key(video["source"]), frame)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        self.store.put(path, data.tobytes())
        return path

    def run(self, number: int = 0, **columns: Any) -> None:
        """Records a run; a later `number` started later."""
        row = {
            "plan_digest": f"{number:032d}",
            "archive": "file:///archive",
            "deployment": "gate",
            "model_digest": "m" * 64,
            "config_digest": "d" * 64,
            "calibration_digest": "c" * 64,
            "image_digest": None,
            "sources": 5,
            "sources_done_before": 0,
            "sources_scored": 5,
            "sources_failed": 0,
            "frames_scored": 100,
            "events": 0,
            "attempts": 5,
            "started": START + timedelta(days=1 + number),
            "seconds": 60.0,
        } | columns
        path = tables.run_path(self.model, row["plan_digest"])
        self.store.put(path, tables.to_parquet(pa.Table.from_pylist([row], schema=tables.RUNS)))

    def _put(self, table: str, rows: list[dict[str, Any]], camera: str, date: str) -> list[dict[str, Any]]:
        partition = {"model": self.model, "camera": camera, "date": date}
        key = tables.source_key(rows[0]["source"] or f"gap {rows[0]['start_time']}")
        path = tables.object_path(table, tables.Partition(**partition), key)
        self.store.put(path, tables.to_parquet(pa.Table.from_pylist(rows, schema=tables.SCHEMAS[table])))
        return [row | partition for row in rows]

    def _partition(self, row: dict[str, Any]) -> tables.Partition:
        return tables.Partition(self.model, row["camera"], row["date"])
