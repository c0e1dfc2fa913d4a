"""The plots of the documentation are those of the results that lie beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_each_plot_is_drawn_from_the_recorded_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from plots import PLOTS, draw

    images = ROOT / "docs" / "images"
    drawn = draw(ROOT / "benchmarks" / "results", tmp_path)
    assert {path.name for path in drawn} == {path.name for path in images.glob("*.svg")}
    for path in drawn:
        assert path.read_text() == (images / path.name).read_text(), "run python benchmarks/plots.py"
    page = (ROOT / "docs" / "accuracy.md").read_text()
    assert all(f"images/{name}.svg" in page for name in PLOTS)
