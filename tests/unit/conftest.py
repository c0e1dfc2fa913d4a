"""Fixtures of the unit tests: where real footage lies, if it does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real footage and labels; its tests skip where it is absent."""
    folder = Path(os.environ.get("STMAE_SHARED_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder} (set STMAE_SHARED_DATA)")
    return folder
