from __future__ import annotations

from buckets import bucket, s3, s3_environment, store
from nights import archive, night, scored

__all__ = ["archive", "bucket", "night", "s3", "s3_environment", "scored", "store"]
