"""The figures of an evaluation, as the rows of the tables that reports show."""

from __future__ import annotations

from stmae.report.figures import SCORES, TRANSFORMS, auc_rows, figure_rows, heading, in_digits, published_rows

FIGURES = {
    f"{score}_{transform}": 0.5 + row / 20 + column / 100
    for row, score in enumerate(SCORES)
    for column, transform in enumerate(TRANSFORMS)
}


def test_a_row_has_the_same_transforms_in_the_same_order_whatever_the_order_of_the_figures() -> None:
    rows = auc_rows(dict(reversed(FIGURES.items())))
    assert [row.words for row in rows] == list(SCORES.values())
    for score, row in zip(SCORES, rows, strict=True):
        assert row.aucs == [
            FIGURES[f"{score}_{transform}"] for transform in ("auc_micro_raw", "auc_macro", "auc_micro_per_video")
        ]


def test_a_figure_that_is_missing_leaves_its_cell_out_and_a_new_detector_has_its_own_row() -> None:
    rows = auc_rows({"combined_auc_micro_raw": 0.9, "sound_auc_macro": 0.6})
    assert [(row.words.name, row.aucs) for row in rows] == [
        ("Combined", [0.9, None, None]),
        ("Sound", [None, 0.6, None]),
    ]
    assert auc_rows({"clips": 12, "calibration_psnr": 30.0}) == []


def test_counts_are_whole_numbers_and_frame_aucs_are_not_told_twice() -> None:
    counts = {"clips": 12.0, "labelled_clips": 8.0, "frames": 12345.0, "abnormal_frames": 800.0}
    rows = figure_rows(FIGURES | counts | {"pixel_auc": 0.98765, "calibration_psnr": 36.549, "brand_new": 0.5})
    assert [(row.words.name, row.value) for row in rows] == [
        ("Pixel AUC", "0.9877"),
        ("PSNR, calibration split", "36.55"),
        ("Test clips", "12"),
        ("Test clips with labels", "8"),
        ("Frames scored", "12,345"),
        ("Frames labelled abnormal", "800"),
        ("Brand new", "0.5000"),
    ]


def test_a_heading_has_the_score_and_the_transform() -> None:
    assert heading("combined_auc_micro_raw") == ("Combined", "raw")
    assert heading("flow_magnitude_auc_macro") == ("Flow magnitude", "mean of clips")
    assert heading("pixel_auc") == ("", "Pixel AUC")
    assert heading("brand_new") == ("", "Brand new")


def test_published_figures_stand_beside_the_paper_s_metric_of_the_run() -> None:
    own, papers = published_rows("ped2", FIGURES)
    assert own[0] == ("PSNR, the paper's metric", "per video", FIGURES["psnr_auc_micro_per_video"])
    assert papers[0].method == "STM-AE"
    assert published_rows("walkway", FIGURES) == ([], [])
    assert published_rows("ped2", {"clips": 12}) == ([], [])


def test_rates_have_four_digits() -> None:
    assert in_digits("combined_eer", 0.12345) == "0.1235"
