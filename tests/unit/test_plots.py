"""Plots: what they draw lies where it should, and those of the documentation are those of the recorded results."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from stmae.report import plots

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def points(drawing: str, gid: str) -> list[list[tuple[float, float]]]:
    """The corners of each path with a gid, in points from the top left."""
    groups = [group for group in ElementTree.fromstring(drawing).iter(f"{SVG}g") if group.get("id") == gid]
    paths = [path.attrib["d"] for group in groups for path in group.iter(f"{SVG}path")]
    found = []
    for path in paths:
        numbers = [float(part) for part in path.replace("M", "").replace("L", "").replace("z", "").split()]
        found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def score_curve(score: np.ndarray, labelled: list[tuple[float, float]] | None = None) -> str:
    times = np.arange(len(score)) / 25
    psnr = np.full(len(score), 30.0)
    psnr[0] = 31.0
    return plots.score_curve(
        times, score, psnr, limits=(-4.0, 4.0), bound=2.0, labelled=labelled or [], title="clip <1>"
    )


def test_each_plot_is_drawn_from_the_recorded_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from plots import draw

    images = ROOT / "docs" / "images"
    drawn = draw(ROOT / "benchmarks" / "results", tmp_path)
    assert {path.name for path in drawn} == {path.name for path in images.glob("*.svg")}
    for path in drawn:
        assert path.read_text() == (images / path.name).read_text(), "run python benchmarks/plots.py"
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("accuracy.md", "serving.md"))
    assert all(f"images/{path.name}" in pages for path in drawn)


def test_a_plot_whose_results_are_not_recorded_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from plots import draw

    figures = {"frames_per_s_naive": 5.0, "frames_per_s_shm": 20.0, "ratio_shm_naive": 4.0, "frames_per_s_flow": 99.0}
    (tmp_path / "serving-cpu.json").write_text(json.dumps({"figures": figures}))
    (drawn,) = draw(tmp_path, tmp_path)
    assert drawn.name == "serving.svg"
    texts = {element.text for element in ElementTree.fromstring(drawn.read_text()).iter(f"{SVG}text")}
    assert {"naive", "shm", "scored frames a second"} <= texts
    assert "flow" not in texts


def test_equal_data_give_equal_bytes_that_tell_no_date_and_ask_for_nothing() -> None:
    score = np.sin(np.arange(100) / 7)
    drawing = score_curve(score)
    assert drawing == score_curve(score)
    assert "date" not in drawing.lower()
    assert not {"script", "image", "a"} & {
        element.tag.removeprefix(SVG) for element in ElementTree.fromstring(drawing).iter()
    }
    assert "clip &lt;1&gt;" in drawing


def test_the_score_and_its_bound_lie_at_their_heights_and_psnr_is_upside_down() -> None:
    score = np.zeros(100)
    score[50] = 2.0
    drawing = score_curve(score)
    ((bound, *_),) = points(drawing, "bound")
    (curve,) = points(drawing, "score")
    (psnr,) = points(drawing, "psnr")
    assert min(y for _, y in curve) == pytest.approx(bound[1], abs=0.01)
    assert max(y for _, y in curve) > bound[1] + 10
    assert psnr[0][1] > psnr[-1][1], "the higher the PSNR, the lower its line"


def test_labelled_spans_are_shaded_where_they_are() -> None:
    drawing = score_curve(np.zeros(101), [(1.0, 2.0), (3.0, 4.0)])
    (curve,) = points(drawing, "score")
    left, right = curve[0][0], curve[-1][0]
    spans = points(drawing, "labelled")
    shaded = [(min(x for x, _ in span), max(x for x, _ in span)) for span in spans]
    expected = [
        (left + (right - left) * start, left + (right - left) * stop) for start, stop in ((0.25, 0.5), (0.75, 1))
    ]
    assert np.allclose(shaded, expected, atol=0.01)


def test_a_peak_survives_in_a_long_curve_that_stays_small() -> None:
    score = np.random.default_rng(0).normal(0, 0.5, 50_000)
    score[31_234] = 3.9
    drawing = score_curve(score)
    assert len(drawing) < 200_000
    (curve,) = points(drawing, "score")
    ((_, bound), *_) = points(drawing, "bound")[0]
    zero = score_curve(np.zeros(9))
    ((_, level), *_) = points(zero, "score")[0]
    peak = level - (level - bound) * 3.9 / 2.0
    assert min(y for _, y in curve) == pytest.approx(peak, abs=0.5)


def test_the_roc_curve_goes_through_its_points() -> None:
    drawing = plots.roc([0.0, 0.25, 1.0], [0.0, 0.75, 1.0], title="roc")
    ((origin, point, end),) = points(drawing, "roc")
    assert (point[0] - origin[0]) / (end[0] - origin[0]) == pytest.approx(0.25, abs=1e-3)
    assert (point[1] - origin[1]) / (end[1] - origin[1]) == pytest.approx(0.75, abs=1e-3)


def test_bars_have_a_dot_for_each_value_and_the_names_of_their_rows() -> None:
    rows = {"one": [[0.9, 0.8], [0.7, 0.6]], "two": [[0.95, 0.85], [0.75, 0.65]]}
    drawing = plots.bars(rows, ["a", "b"], reference=("base", 0.55), x_label="AUC", title="bars")
    texts = [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert {"one", "two", "a", "b", "base", "AUC"} <= set(texts)
    for gid in ("values-0", "values-1"):
        (group,) = [group for group in ElementTree.fromstring(drawing).iter(f"{SVG}g") if group.get("id") == gid]
        assert len(list(group.iter(f"{SVG}use"))) == 4
    ((line, *_),) = points(drawing, "reference")
    assert "0.5" in texts, "the axis begins at chance"
    assert line[0] > 0


def test_lines_without_names_of_places_are_numbered_from_one() -> None:
    drawing = plots.lines({"PSNR": [[30.0], [31.0], [33.0]]}, x_label="step", y_label="dB", title="lines")
    texts = {element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")}
    assert {"1", "2", "3", "step", "dB"} <= texts
    assert "1.5" not in texts


def test_spans_are_the_runs_of_ones() -> None:
    assert plots.spans(np.array([1, 1, 0, 0, 1, 0, 1], np.uint8)) == [(0, 2), (4, 5), (6, 7)]
    assert plots.spans(np.zeros(3, np.uint8)) == []
