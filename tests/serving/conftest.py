from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from buckets import bucket, s3, s3_environment, store
from nights import night
from releases import keys, releases

__all__ = ["bucket", "keys", "night", "releases", "s3", "s3_environment", "store"]
