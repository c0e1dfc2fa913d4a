from __future__ import annotations

import sys
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in ("pipeline", "faults", "batch"))

from buckets import bucket, s3, s3_environment
from nights import archive, night, scored

__all__ = ["archive", "bucket", "night", "s3", "s3_environment", "scored"]
