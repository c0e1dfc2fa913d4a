"""The evaluation page: what it says about a made-up evaluation whose answers are known."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from evidence import FPS, PLACE, calm, fit, with_tile
from sklearn.metrics import roc_auc_score

from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation.evaluate import ScoredClip, figures_of
from stmae.report.evaluation import evaluation_report
from stmae.report.page import heat_overlay, jpeg_uri
from stmae.report.papers import published
from stmae.report.plots import curve, spans
from stmae.report.clips import ShownClip, most_wrong, roc_points, shown_clips
from stmae.scoring.norm import KINDS
from stmae.scoring.raw import CLIP_FRAMES

FRAMES, SIZE = 60, 32


def made_up(folder: Path, *, labelled: bool = True, reader: str = "ped2") -> tuple[Path, Path]:
    """Two clips, odd in one tile: `good` where it is labelled so, `bad` where it is not. (evaluation, dataset)."""
    random = np.random.default_rng(3)
    calibration = fit([calm(200, seed=seed) for seed in (0, 2, 3, 4, 5)])
    truth = np.zeros(FRAMES, np.uint8)
    truth[30:] = 1
    mask = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
    row, column = (2 * part for part in PLACE)
    mask[30:, row : row + 2, column : column + 2] = 1
    clips, scored, arrays = [], [], {}
    for name, odd in (("good", slice(26, None)), ("bad", slice(0, 26))):
        kinds = {"frames": random.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)}
        if labelled:
            kinds |= {"labels": truth, "masks": mask}
        for kind, array in kinds.items():
            path = folder / "dataset" / kind / "test" / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
        clips.append(Clip(name, "test", f"testing/{name}", FRAMES, FPS, 48, 64, "0", "", labelled, labelled))
        evidence = with_tile(calm(FRAMES - CLIP_FRAMES, seed=1), "error_tiles", odd, 2.0)
        truths = (truth[CLIP_FRAMES:], mask[CLIP_FRAMES:]) if labelled else (None, None)
        combined, tile_map = calibration.score(evidence, FPS), calibration.tile_map(evidence, FPS)
        parts = dict.fromkeys(KINDS, combined)
        alarm = calibration.alarm(combined)
        scored.append(ScoredClip(name, FPS, *truths, evidence, combined, alarm, tile_map, parts))
        kept = {"psnr": evidence.psnr, "combined": combined, "tile_map": tile_map}
        arrays |= {f"{name}/{key}": array for key, array in kept.items()}
        if labelled:
            arrays[f"{name}/labels"] = truth[CLIP_FRAMES:]
    Manifest.of(folder / "dataset", "street", SIZE, tuple(clips)).save()
    figures, roc = figures_of(scored, 0.0)
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "calibration.json").write_text(calibration.to_json())
    np.savez(folder / "evaluation" / "scores.npz", **arrays)
    evaluation = {
        "name": "a <street>",
        "figures": figures,
        "clips": [{"name": clip.name, "fps": FPS, "frames": FRAMES - CLIP_FRAMES} for clip in clips],
        "roc": roc,
        "config": {"seed": 1, "data": {"reader": reader}},
        "curve": [
            {"step": 9 * (epoch + 1), "losses": {}, "calibration": {"psnr": 30.0 + epoch}} for epoch in range(30)
        ],
    }
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
    return folder / "evaluation", folder / "dataset"


class Reader(HTMLParser):
    """Collects what a browser would fetch and the sections' titles."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.titles: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "h2"
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]
        assert tag not in ("script", "link", "iframe")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)
        self._in_title = False


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("labelled")
    return evaluation_report(*made_up(folder), folder / "out" / "report").read_text(encoding="utf-8")


def test_everything_the_page_shows_is_in_the_page(labelled: str) -> None:
    sources = read(labelled).sources
    assert sources
    assert all(source.startswith(("data:image/jpeg;base64,", "#clip-")) for source in sources)
    assert "url(" not in labelled


def test_names_from_outside_cannot_become_markup(labelled: str) -> None:
    assert "Evaluation of a &lt;street&gt;" in labelled
    assert "<street>" not in labelled


def test_labelled_footage_has_roc_galleries_of_both_errors_and_a_table_with_the_worst_clip_first(
    labelled: str,
) -> None:
    titles = read(labelled).titles
    assert titles == [
        "Figures",
        "Beside published figures",
        "ROC, all test frames, combined score",
        "Where the model looks",
        "Highest scores",
        "Normal frames with the highest scores",
        "Abnormal frames with the lowest scores",
        "Clips, worst first",
        "Anomaly score over time",
        "Learning curve",
    ]
    table = labelled[labelled.index("Clips, worst first") :]
    assert table.index(">bad<") < table.index(">good<")
    assert "0.0000" in table
    assert "1.0000" in table


def test_the_page_leads_with_each_score_raw_per_video_and_as_a_mean_of_clips(tmp_path: Path) -> None:
    evaluation, dataset = made_up(tmp_path)
    figures = json.loads((evaluation / "evaluation.json").read_text())["figures"]
    page = evaluation_report(evaluation, dataset, tmp_path / "report.html").read_text(encoding="utf-8")
    for title, names in (
        ("Combined", ("combined_auc_micro_raw", "combined_auc_micro_per_video", "combined_auc_macro")),
        ("&ndash; motion alone", ("motion_auc_micro_raw", "motion_auc_macro")),
        ("Flow magnitude", ("baseline_auc_micro_raw", "baseline_auc_micro_per_video", "baseline_auc_macro")),
        ("Paper's metric", ("paper_auc_micro_raw", "paper_auc_micro", "paper_auc_macro")),
    ):
        (row,) = re.findall(rf"<tr><th>{title}</th>.*?</tr>", page)
        assert re.findall(r">(\d\.\d{4})<", row) == [f"{figures[name]:.4f}" for name in names]
    for name in ("combined_eer", "pixel_auc", "overlap_auc"):
        assert f">{figures[name]:.4f}<" in page


def test_published_figures_stand_beside_the_run_s_own_where_there_are_any(labelled: str, tmp_path: Path) -> None:
    section = labelled[labelled.index("<h2>Beside published") : labelled.index("<h2>ROC")]
    for paper in published("ped2"):
        assert f"<td>{paper.method}</td>" in section
        assert f">{paper.auc:.3f}<" in section
    assert section.count("<th>This run") == 3
    page = evaluation_report(*made_up(tmp_path, reader="walkway"), tmp_path / "report.html").read_text()
    assert "published" not in page


def test_clips_with_masks_show_where_the_model_looks(labelled: str) -> None:
    section = labelled[labelled.index("<h2>Where the model looks") : labelled.index("<h2>Highest scores")]
    assert section.count("<figure>") == 2
    assert section.count("<img") == 2 * 3
    truth = dict(re.findall(r'#clip-(\w+)">.*?labelled (\w+)', section))
    assert truth == {"good": "abnormal", "bad": "normal"}


def test_what_is_shown_as_normal_is_normal_and_what_is_shown_as_abnormal_is_abnormal(labelled: str) -> None:
    alarms = labelled[labelled.index("<h2>Normal frames") : labelled.index("<h2>Abnormal frames")]
    misses = labelled[labelled.index("<h2>Abnormal frames") : labelled.index("<h2>Clips")]
    for gallery, wanted in ((alarms, range(CLIP_FRAMES, 30)), (misses, range(30, FRAMES))):
        shown = [int(number) for number in re.findall(r"</a>, frame (\d+) ", gallery)]
        assert shown
        assert all(frame in wanted for frame in shown)


def test_abnormal_spans_are_shaded_where_they_are(labelled: str) -> None:
    drawings = re.findall(r'<svg [^>]*anomaly score of clip \w+">.*?</svg>', labelled)
    assert len(drawings) == 2
    for drawing in drawings:
        (rectangle,) = ElementTree.fromstring(drawing).findall("rect")
        left, width = float(rectangle.attrib["x"]), float(rectangle.attrib["width"])
        # Frames 30 to 59 of a curve from frame 4 to frame 59.
        assert (left - 46) / (988 - 46) == pytest.approx((30 - 4) / (59 - 4), abs=1e-3)
        assert left + width == pytest.approx(988, abs=0.2)


def test_the_learning_curve_has_a_point_an_epoch(labelled: str) -> None:
    section = labelled[labelled.index("Learning curve") :]
    section = section[: section.index("</section>")]
    assert section.count("<circle") == 30
    assert ">30<" in section
    assert ">29<" not in section, "some epochs only have room for a number"


def test_unlabelled_footage_gets_a_page_without_roc_and_errors(tmp_path: Path) -> None:
    out = evaluation_report(*made_up(tmp_path, labelled=False), tmp_path / "report.html")
    page = re.sub(r'"data:[^"]*"', '""', out.read_text(encoding="utf-8"))  # a picture's bytes may spell anything
    assert read(page).titles == ["Figures", "Highest scores", "Clips", "Anomaly score over time", "Learning curve"]
    assert "no labels" in page
    assert "AUC" not in page


def test_the_page_says_of_which_clips_its_figures_are(labelled: str, tmp_path: Path) -> None:
    scored, abnormal = FRAMES - CLIP_FRAMES, FRAMES - 30
    assert f"2 test clips, {2 * scored} scored frames; of these {2 * abnormal} are labelled abnormal" in labelled
    evaluation, dataset = made_up(tmp_path)
    with np.load(evaluation / "scores.npz") as scores:
        partly = {key: array for key, array in scores.items() if key != "bad/labels"}
    np.savez(evaluation / "scores.npz", **partly)
    page = evaluation_report(evaluation, dataset, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"1 of the clips have labels, and all figures are of them: of their {scored} frames {abnormal} are" in page


def test_the_auc_of_a_clip_is_the_one_of_scikit_learn(tmp_path: Path) -> None:
    evaluation, dataset = made_up(tmp_path)
    random = np.random.default_rng(0)
    with np.load(evaluation / "scores.npz") as scores:
        ties = dict(scores)
    ties["good/combined"] = random.integers(0, 5, FRAMES - CLIP_FRAMES).astype(np.float64)
    entries = json.loads((evaluation / "evaluation.json").read_text())["clips"]
    clips: list[ShownClip] = list(shown_clips(entries, ties, Manifest.load(dataset)))
    assert clips[0].auc() == pytest.approx(roc_auc_score(clips[0].labels, clips[0].combined))
    assert clips[1].auc() == 0.0


def test_frames_that_are_shown_lie_more_than_a_second_apart(tmp_path: Path) -> None:
    evaluation, dataset = made_up(tmp_path)
    entries = json.loads((evaluation / "evaluation.json").read_text())["clips"]
    with np.load(evaluation / "scores.npz") as scores:
        clips = list(shown_clips(entries, scores, Manifest.load(dataset)))
    chosen = most_wrong(clips, None, highest=True, most=6)
    assert len(chosen) == 6
    assert chosen[0][0].combined[chosen[0][1]] == max(clip.combined.max() for clip in clips)
    for clip in clips:
        positions = sorted(position for other, position in chosen if other is clip)
        assert all(np.diff(positions) > FPS)


def test_roc_points_are_few_finite_and_end_in_the_corners() -> None:
    random = np.random.default_rng(1)
    evidence = calm(5000, seed=2)
    labels, scores = random.integers(0, 2, 5000).astype(np.uint8), random.random(5000)
    parts = dict.fromkeys(KINDS, scores)
    scored = ScoredClip("a", FPS, labels, None, evidence, scores, scores, evidence.error_tiles, parts)
    _, roc = figures_of([scored], 0.0)
    fpr, tpr, thresholds = roc_points(roc)
    assert len(fpr) == len(tpr) == len(thresholds) <= 200
    assert (fpr[0], tpr[0]) == (0, 0)
    assert (fpr[-1], tpr[-1]) == (1, 1)
    assert all(np.isfinite(thresholds))
    assert thresholds == sorted(thresholds, reverse=True)


def test_spans_are_the_runs_of_ones() -> None:
    assert spans(np.array([1, 1, 0, 0, 1, 0, 1], np.uint8)) == [(0, 2), (4, 5), (6, 7)]
    assert spans(np.zeros(3, np.uint8)) == []


def test_a_peak_survives_the_thinning_of_a_long_curve() -> None:
    values = np.zeros(50_000)
    values[31_234] = 1.0
    times = np.arange(50_000) / 25
    drawing = curve(times, 7 * values, top=7.0, beside=np.zeros(50_000), threshold=2.0, label="long")
    assert len(drawing) < 40_000
    _, points = ElementTree.fromstring(drawing).findall("polyline")
    assert min(float(point.split(",")[1]) for point in points.attrib["points"].split()) == 8.0


def test_a_tile_map_colours_the_tile_that_is_odd() -> None:
    tiles = np.zeros((16, 16))
    tiles[2, 13] = 1.0
    overlay = heat_overlay(np.full((160, 160, 3), 60, np.uint8), tiles, 1.0)
    brightest = np.unravel_index(int(overlay.sum(axis=2).argmax()), (160, 160))
    assert (brightest[0] // 10, brightest[1] // 10) == (2, 13)
    assert (overlay[100, 20] == 60).all(), "where nothing is odd, no colour"


def test_a_picture_survives_the_way_into_the_page() -> None:
    red = np.zeros((24, 32, 3), np.uint8)
    red[..., 0] = 200
    data = base64.b64decode(jpeg_uri(red).partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - red).max() <= 6
