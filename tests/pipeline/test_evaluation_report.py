"""The evaluation page: what it says about a made-up evaluation whose answers are known."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stmae.datasets.manifest import Clip, Manifest
from stmae.report.clips import ClipScores, extreme_frames, read_clips, roc_points
from stmae.report.evaluation import evaluation_report
from stmae.report.figures import SCORES, TRANSFORMS
from stmae.report.gallery import BOX, TRUTH
from stmae.report.papers import published
from stmae.report.pictures import heat_overlay, jpeg
from stmae.scoring.raw import CLIP_FRAMES

FRAMES, SIZE, FPS = 60, 32, 10.0
FIRST_ABNORMAL = 30
TILE = (4, 10)
"""Row and column of the one tile in which the clips are anomalous; what is labelled reaches a tile further."""
FIGURES = {
    **{
        f"{score}_{transform}": 0.5 + 0.05 * row + 0.011 * column
        for row, score in enumerate(SCORES)
        for column, transform in enumerate(TRANSFORMS)
    },
    "combined_eer": 0.1234,
    "pixel_auc": 0.9412,
    "overlap_auc": 0.8731,
    "calibration_psnr": 36.532,
}


def made_up(folder: Path, *, labelled: bool = True, reader: str = "ped2") -> tuple[Path, Path]:
    """Makes two clips, anomalous in one tile: `good` where it is labelled so, `bad` where it is not.

    Returns the folders of the evaluation and of the dataset.
    """
    random = np.random.default_rng(3)
    truth = np.zeros(FRAMES, np.uint8)
    truth[FIRST_ABNORMAL:] = 1
    mask = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
    row, column = (2 * part for part in TILE)
    mask[FIRST_ABNORMAL:, row : row + 4, column : column + 4] = 1
    clips, scores = [], {}
    for name, anomalous in (("good", truth == 1), ("bad", truth == 0)):
        arrays = {"frames": np.full((FRAMES, SIZE, SIZE, 3), 60, np.uint8)}
        if labelled:
            arrays |= {"labels": truth, "masks": mask}
        for kind, array in arrays.items():
            path = folder / "dataset" / kind / "test" / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
        clips.append(Clip(name, "test", f"testing/{name}", FRAMES, 48, 64, "0", "", labelled, labelled))
        scores |= {f"{name}/{key}": array for key, array in scored(anomalous[CLIP_FRAMES:], random).items()}
        if labelled:
            scores[f"{name}/labels"] = truth[CLIP_FRAMES:]
    Manifest.of(folder / "dataset", "street", SIZE, FPS, tuple(clips)).save()
    (folder / "evaluation").mkdir()
    np.savez(folder / "evaluation" / "scores.npz", **scores)
    counts = {"clips": 2, "frames": 2 * (FRAMES - CLIP_FRAMES), "labelled_clips": 2, "abnormal_frames": 60}
    evaluation = {
        "name": "a <street>",
        "seed": 1,
        "dataset_digest": "0" * 64,
        "figures": FIGURES | counts if labelled else {"clips": 2, "calibration_psnr": 36.532},
        "clips": [{"name": clip.name, "fps": FPS, "frames": FRAMES - CLIP_FRAMES} for clip in clips],
        "roc": [[0.0, 0.0, 3.0], [0.5, 0.5, 0.0], [1.0, 1.0, -3.0]] if labelled else [],
        "config": {"seed": 1, "data": {"reader": reader}},
        "curve": [{"step": 9 * point, "losses": {}, "calibration": {"psnr": 30.0 + point}} for point in range(1, 11)],
        "calibration": {"": {"hours": 2.3, "clips": 7}},
    }
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
    return folder / "evaluation", folder / "dataset"


def scored(anomalous: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Scores of a clip: about once in a minute where it is normal, beyond the bound where it is anomalous."""
    combined = np.where(anomalous, 3.0, -1.8) + random.normal(0, 0.1, len(anomalous))
    heatmap = random.uniform(0, 0.5, (len(anomalous), 16, 16))
    heatmap[:, *TILE] += 4.0 * anomalous
    psnr = np.where(anomalous, 28.0, 34.0) + random.normal(0, 0.1, len(anomalous))
    return {"psnr": psnr, "combined": combined, "motion": combined, "heatmap": heatmap}


def clips_of(evaluation: Path, dataset: Path, changes: dict[str, np.ndarray] | None = None) -> list[ClipScores]:
    with np.load(evaluation / "scores.npz") as scores:
        arrays = dict(scores) | (changes or {})
    return list(read_clips(json.loads((evaluation / "evaluation.json").read_text()), arrays, Manifest.load(dataset)))


class Reader(HTMLParser):
    """Collects what a browser would fetch, the sections' titles, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self._in_title = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "h2"
        self.text += " " if tag in ("td", "th") else ""
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]
        assert tag not in ("script", "link", "iframe")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_title:
            self.titles.append(data)
        self._in_title = False


def words(page: str) -> str:
    """The text of a page, with single spaces."""
    return " ".join(Reader(page).text.split())


def section(page: str, title: str) -> str:
    start = page.index(f"<h2>{title}")
    return page[start : page.index("</section>", start)]


def across(drawing: str, gid: str) -> tuple[float, float]:
    """Where the path with a gid begins and ends from left to right."""
    match = re.search(rf'id="{gid}">\s*<path d="([^"]+)"', drawing)
    assert match
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", match[1])]
    return min(numbers[::2]), max(numbers[::2])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made_up(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def labelled(folders: tuple[Path, Path]) -> str:
    return evaluation_report(*folders, folders[0].parent / "out" / "report").read_text(encoding="utf-8")


def test_everything_the_page_shows_is_in_the_page(labelled: str) -> None:
    sources = Reader(labelled).sources
    images = ("data:image/jpeg;base64,", "data:image/svg+xml;base64,")
    assert {source.partition(",")[0] + "," for source in sources if source.startswith("data:")} == set(images)
    assert all(source.startswith((*images, "#clip-")) for source in sources)
    assert "url(" not in labelled.replace("url(#", "")  # a pattern of the page itself


def test_names_from_outside_cannot_become_markup(labelled: str) -> None:
    assert "<h1>Evaluation of a &lt;street&gt;</h1>" in labelled
    assert "<street>" not in labelled


def test_labelled_footage_has_roc_and_galleries_of_both_errors(labelled: str) -> None:
    assert Reader(labelled).titles == [
        "Figures",
        "Calibration",
        "Beside published figures",
        "ROC, all labelled frames, combined score",
        "Where the model looks",
        "Highest scores",
        "Normal frames with the highest scores",
        "Abnormal frames with the lowest scores",
        "Clips, worst first",
        "Anomaly score over time",
        "Learning curve",
    ]


def test_each_score_has_one_row_with_the_same_transforms(labelled: str) -> None:
    figures = section(labelled, "Figures")
    assert re.findall(r'<th class="number">(raw|mean of clips|per video)</th>', figures) == [
        "raw",
        "mean of clips",
        "per video",
    ]
    for score, named in SCORES.items():
        (row,) = re.findall(rf'<tr><th scope="row">{named.name}</th>(.*?)</tr>', figures, re.DOTALL)
        expected = [f"{FIGURES[f'{score}_{transform}']:.4f}" for transform in TRANSFORMS]
        assert re.findall(r">(\d\.\d{4})<", row) == expected
    for name in ("combined_eer", "pixel_auc", "overlap_auc"):
        assert f">{FIGURES[name]:.4f}<" in figures


def test_counts_are_whole_numbers(labelled: str) -> None:
    figures = section(labelled, "Figures")
    for name, count in (("Test clips", 2), ("Test clips with labels", 2), ("Frames labelled abnormal", 60)):
        assert f'<tr><th scope="row">{name}</th><td class="number">{count}</td>' in figures


def test_the_page_says_what_the_scores_rest_on(labelled: str) -> None:
    text = words(section(labelled, "Calibration"))
    assert "rarer than 100 times the footage" in text
    assert text.endswith("2.3 hours 7 over 9.5 nights")


def test_published_figures_stand_beside_the_run_s_own_where_there_are_any(labelled: str, tmp_path: Path) -> None:
    beside = section(labelled, "Beside published figures")
    for paper in published("ped2"):
        assert re.search(rf'<td>{re.escape(paper.method)}</td><td class="number">{paper.auc:.3f}</td>', beside)
    assert beside.count("This run:") == 3
    page = evaluation_report(*made_up(tmp_path, reader="walkway"), tmp_path / "report.html").read_text()
    assert "published" not in page


def test_the_roc_curve_is_read_at_low_rates_of_false_alarms(labelled: str) -> None:
    rows = re.findall(r'<td class="number">(\d+)%</td><td class="number">([\d.]+)%</td>', section(labelled, "ROC"))
    assert [(int(rate), float(found)) for rate, found in rows] == [(1, 1.0), (5, 5.0), (10, 10.0), (20, 20.0)]


def test_clips_with_masks_show_where_the_model_looks(labelled: str) -> None:
    looks = section(labelled, "Where the model looks")
    assert looks.count("<figure") == 2
    assert looks.count("<img") == 2 * 3
    truth = dict(re.findall(r'#clip-(\w+)">.*?labelled (\w+)', looks, re.DOTALL))
    assert truth == {"good": "abnormal", "bad": "normal"}


def test_the_box_and_the_outline_lie_where_the_clip_is_anomalous(labelled: str) -> None:
    good = section(labelled, "Where the model looks").partition("</figure>")[0]
    _, marked, _ = (
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
        for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", good)
    )
    for colour, tiles in ((TRUTH, 2), (BOX, 1)):
        rows, columns = np.nonzero(np.abs(marked - colour).max(axis=2) < 60)
        height, width = marked.shape[:2]
        edges = [rows.min() / height, (rows.max() + 1) / height, columns.min() / width, (columns.max() + 1) / width]
        (row, column) = TILE
        assert np.multiply(edges, 16) == pytest.approx([row, row + tiles, column, column + tiles], abs=0.3)


def test_what_is_shown_as_normal_is_normal_and_what_is_shown_as_abnormal_is_abnormal(labelled: str) -> None:
    for title, wanted, rarity in (
        ("Normal frames", range(CLIP_FRAMES, FIRST_ABNORMAL), "rarer than once in 9.5 nights"),
        ("Abnormal frames", range(FIRST_ABNORMAL, FRAMES), "about once in"),
    ):
        gallery = section(labelled, title)
        shown = [int(number) for number in re.findall(r"</a>, frame (\d+)", gallery)]
        assert shown
        assert all(frame in wanted for frame in shown)
        assert rarity in words(gallery)


def test_clips_are_listed_the_worst_first_with_the_rarity_of_their_frames(labelled: str) -> None:
    table = section(labelled, "Clips, worst first")
    rows = [words(row).split() for row in re.findall(r"<tr><th.*?</tr>", table, re.DOTALL)[1:]]
    assert [(row[0], row[-1], row[-2], row[1]) for row in rows] == [
        ("bad", "0.0000", "30", "56"),
        ("good", "1.0000", "30", "56"),
    ]
    assert " ".join(rows[1][-6:-2]).endswith("over 9.5 nights"), "the median of the abnormal frames"
    assert "seconds" in " ".join(rows[1]), "the median of the normal frames"


def test_each_clip_has_a_curve_and_the_learning_curve_a_dot_a_point(labelled: str) -> None:
    curves = section(labelled, "Anomaly score over time")
    assert re.findall(r'id="clip-(\w+)"', curves) == ["good", "bad"]
    for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", curves):
        drawing = base64.b64decode(data).decode()
        left, right = across(drawing, "score")
        shaded = [(x - left) / (right - left) for x in across(drawing, "labelled")]
        # Frames 30 to 59 of a curve from frame 4 to frame 59.
        assert shaded == pytest.approx([(30 - 4) / (59 - 4), (60 - 4) / (59 - 4)], abs=1e-3)
    (data,) = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", section(labelled, "Learning curve"))
    values = base64.b64decode(data).decode().partition('id="values-0"')[2].partition("</g>\n  </g>")[0]
    assert values.count("<use ") == 10


def test_unlabelled_footage_gets_a_page_without_roc_and_errors(tmp_path: Path) -> None:
    out = evaluation_report(*made_up(tmp_path, labelled=False), tmp_path / "report.html")
    page = re.sub(r'"data:[^"]*"', '""', out.read_text(encoding="utf-8"))  # a picture's bytes may spell anything
    assert Reader(page).titles == [
        "Figures",
        "Calibration",
        "Highest scores",
        "Clips",
        "Anomaly score over time",
        "Learning curve",
    ]
    assert "no labels" in page
    assert "AUC" not in page
    assert "labelled abnormal" not in page


def test_the_page_says_which_clips_its_figures_are_taken_on(labelled: str, tmp_path: Path) -> None:
    frames, abnormal = FRAMES - CLIP_FRAMES, FRAMES - FIRST_ABNORMAL
    assert f"2 test clips, {2 * frames} scored frames; of these {2 * abnormal} are labelled abnormal" in words(labelled)
    evaluation, dataset = made_up(tmp_path)
    with np.load(evaluation / "scores.npz") as scores:
        partly = {key: array for key, array in scores.items() if key != "bad/labels"}
    np.savez(evaluation / "scores.npz", **partly)
    page = words(evaluation_report(evaluation, dataset, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"1 of the clips have labels, and all AUCs are of them: of their {frames} frames {abnormal} are" in page


def test_several_scenes_have_a_calibration_each(tmp_path: Path) -> None:
    evaluation, dataset = made_up(tmp_path)
    manifest = Manifest.load(dataset)
    clips = tuple(
        dataclasses.replace(clip, scene=scene) for clip, scene in zip(manifest.clips, ("hall", "yard"), strict=True)
    )
    Manifest.of(dataset, "street", SIZE, FPS, clips).save()
    content: dict[str, Any] = json.loads((evaluation / "evaluation.json").read_text())
    content["calibration"] = {"hall": {"hours": 2.3, "clips": 7}, "yard": {"hours": 240.0, "clips": 9}}
    (evaluation / "evaluation.json").write_text(json.dumps(content))
    page = evaluation_report(evaluation, dataset, tmp_path / "report.html").read_text(encoding="utf-8")
    text = words(section(page, "Calibration"))
    assert text.endswith("hall 2.3 hours 7 over 9.5 nights yard 240 hours 9 over 1,000 nights")
    text = words(section(page, "Highest scores"))
    assert "rarer than once in 9.5 nights" in text
    assert re.search(r"clip bad, frame \d+ \([\d.]+ s\): about once in \d\d nights", text), "240 hours can tell it"


def test_the_auc_of_a_clip_is_the_one_of_scikit_learn(folders: tuple[Path, Path]) -> None:
    tied = np.random.default_rng(0).integers(0, 5, FRAMES - CLIP_FRAMES).astype(np.float64)
    good, bad = clips_of(*folders, {"good/combined": tied})
    assert good.auc() == pytest.approx(roc_auc_score(good.labels, good.combined))
    assert bad.auc() == 0.0


def test_frames_that_are_shown_lie_more_than_a_second_apart(folders: tuple[Path, Path]) -> None:
    clips = clips_of(*folders)
    chosen = extreme_frames(clips, None, highest=True, most=6)
    assert len(chosen) == 6
    assert chosen[0][0].combined[chosen[0][1]] == max(clip.combined.max() for clip in clips)
    for clip in clips:
        positions = sorted(position for other, position in chosen if other is clip)
        assert all(np.diff(positions) > FPS)


def test_roc_points_are_few_and_keep_the_ends_of_the_curve() -> None:
    rates = np.linspace(0, 1, 5000)
    roc = list(zip(rates.tolist(), np.sqrt(rates).tolist(), (1 - rates).tolist(), strict=True))
    fpr, tpr, thresholds = roc_points([*roc, roc[-1]])
    assert 100 < len(fpr) == len(tpr) == len(thresholds) <= 200
    assert (fpr[0], tpr[0]) == (0, 0)
    assert (fpr[-1], tpr[-1]) == (1, 1)
    assert thresholds == sorted(thresholds, reverse=True)
    assert roc_points(roc[:3]) == tuple(list(column) for column in zip(*roc[:3], strict=True))


def test_a_heat_map_colours_the_tile_that_is_anomalous() -> None:
    heatmap = np.zeros((16, 16))
    heatmap[2, 13] = 1.0
    overlay = heat_overlay(np.full((160, 160, 3), 60, np.uint8), heatmap, 1.0)
    brightest = np.unravel_index(int(overlay.sum(axis=2).argmax()), (160, 160))
    assert (brightest[0] // 10, brightest[1] // 10) == (2, 13)
    assert (overlay[100, 20] == 60).all(), "where all is normal, no colour"


def test_a_picture_survives_the_way_into_the_page() -> None:
    red = np.zeros((24, 32, 3), np.uint8)
    red[..., 0] = 200
    data = base64.b64decode(jpeg(red, "red").uri.partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - red).max() <= 6
