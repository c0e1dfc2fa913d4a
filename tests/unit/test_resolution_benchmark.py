"""The benchmark of frame sizes: it measures how far apart the speeds of a row lie, whatever their scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(("spread", "expected"), [(0.01, 1.0), (0.25, 0.74), (5.0, 0.51)])
def test_faster_tiles_stand_out_where_the_speeds_of_the_row_are_alike(
    spread: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log-normal speeds of spread s and their 1.25-fold lie ln 1.25 / (s sqrt 2) standard deviations apart."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from resolution import faster

    random = np.random.default_rng(1)
    row_speeds = 0.01 * 2.0 ** np.arange(16)[:, None]
    speeds = row_speeds * np.exp(random.normal(0, spread, (400, 16, 16)))
    moves = np.zeros(speeds.shape, bool)
    moves[:, :12] = True
    assert faster(speeds, moves) == pytest.approx(expected, abs=0.01)
    assert faster(np.where(moves, speeds, 1e9), moves) == pytest.approx(expected, abs=0.01)
