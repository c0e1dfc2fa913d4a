"""The night the clocks change: names tell local time, tables hold UTC, and what a name cannot tell is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nights import Night, film, read, rows


def scored(night: Night, tmp_path: Path, *paths: str) -> list[dict[str, Any]]:
    """Returns the coverage rows, in order of time, of two-second films of a camera in Berlin."""
    for seed, path in enumerate(paths):
        film(tmp_path / f"site/gate/{path}.avi", 20, seed)
    assert night.score(tmp_path / "site", tmp_path / "tables", zone="Europe/Berlin").complete
    return sorted(rows(tmp_path / "tables", "coverage"), key=lambda row: row["start_time"])


@pytest.mark.fault("clocks that are put forward")
def test_when_clocks_are_put_forward_no_footage_is_missing(night: Night, tmp_path: Path) -> None:
    before, after = scored(night, tmp_path, "2026-03-29/01-59-58", "2026-03-29/03-00-00")
    assert (before["status"], before["end_time"]) == ("scored", datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert (after["status"], after["start_time"]) == ("scored", datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert (before["reason"], after["reason"]) == (None, None)
    assert read(tmp_path / "tables", "scores").num_rows == 40 - 4, "both are one stream"


@pytest.mark.fault("clocks that are put forward")
def test_an_hour_that_never_was_is_told(night: Night, tmp_path: Path) -> None:
    (row,) = scored(night, tmp_path, "2026-03-29/02-30-00")
    assert row["status"] == "scored"
    assert row["reason"] == "2026-03-29 02:30:00 does not exist in Europe/Berlin: the clock was put forward"


@pytest.mark.fault("clocks that are put back")
def test_when_clocks_are_put_back_the_hour_that_names_cannot_tell_is_a_gap_and_told(
    night: Night, tmp_path: Path
) -> None:
    before, gap, after = scored(night, tmp_path, "2026-10-25/02-59-58", "2026-10-25/03-00-00")
    assert before["start_time"] == datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC)
    assert before["reason"] == "2026-10-25 02:59:58 occurs twice in Europe/Berlin: taken for the first"
    assert (gap["status"], gap["seconds"]) == ("gap", 3600.0)
    assert (after["start_time"], after["reason"]) == (datetime(2026, 10, 25, 2, tzinfo=UTC), None)
    assert read(tmp_path / "tables", "scores").num_rows == 2 * (20 - 4)
