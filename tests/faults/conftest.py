from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))

from buckets import s3
from depots import depot, films, own_depot, stock, undisturbed
from ledger import pytest_addoption, pytest_configure
from nights import archive, night, scored

__all__ = [
    "archive",
    "depot",
    "films",
    "night",
    "own_depot",
    "pytest_addoption",
    "pytest_configure",
    "s3",
    "scored",
    "stock",
    "undisturbed",
]
