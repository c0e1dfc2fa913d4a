"""What all units of a run have in common."""

from __future__ import annotations

import dataclasses

from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving.tls import Tls


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A run's archive, tables, server and model; travels to workers."""

    archive: str
    tables: str
    server_url: str
    deployment: str
    model: str
    """The tables' partition, `<deployment>-<digest8>`."""
    model_digest: str
    """The server must serve this very model from the first unit to the last."""
    size: int
    segment_frames: int
    deadline_seconds: float
    tls: Tls | None
    """Files of the connection to the server, on each machine with workers; None without TLS."""
    traceparent: str
    """The run's span (W3C), empty where none is sent."""
    normality: NormalityModel
    calibration: Calibration
