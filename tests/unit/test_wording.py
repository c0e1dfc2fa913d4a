"""The words that reports use for return periods, footage and durations."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from stmae import tables
from stmae.report import timeline, wording


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (960.0, "about once in 40 nights"),
        (24.0, "about once a night"),
        (23.99, "about once a night"),
        (31.0, "about once in 1.3 nights"),
        (23.4, "about once in 23 hours"),
        (3.0, "about once in 3 hours"),
        (1.0, "about once an hour"),
        (0.5, "about once in 30 minutes"),
        (1 / 60, "about once a minute"),
        (10 / 3600, "about once in 10 seconds"),
        (1e-6, "more than once a second"),
        (24 * 123.4, "about once in 120 nights"),
        (24 * 12_345.0, "about once in 12,000 nights"),
    ],
)
def test_a_return_period_is_told_in_the_longest_unit_with_two_digits(hours: float, words: str) -> None:
    assert wording.return_period(hours) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (230.4, "rarer than once in 9.6 nights"),
        (239.0, "rarer than once in 9.9 nights"),
        (24 * 129.0, "rarer than once in 120 nights"),
        (23.99, "rarer than once in 23 hours"),
        (24.0, "rarer than once a night"),
    ],
)
def test_a_bound_is_rounded_down_so_that_it_claims_no_more_than_was_measured(hours: float, words: str) -> None:
    assert wording.return_period(hours, bounded=True) == words


def test_in_tables_the_period_stands_alone() -> None:
    assert wording.short_period(960.0) == "40 nights"
    assert wording.short_period(24.0) == "1 night"
    assert wording.short_period(1e-6) == "under a second"
    assert wording.short_period(239.0, bounded=True) == "over 9.9 nights"


def test_a_score_beyond_a_hundred_times_the_calibration_footage_is_a_bound() -> None:
    assert wording.period_of(math.log10(40.0), 2.3) == (pytest.approx(40.0), False)
    assert wording.period_of(math.log10(229.0), 2.3) == (pytest.approx(229.0), False)
    assert wording.period_of(math.log10(231.0), 2.3) == (pytest.approx(230.0), True)
    assert wording.period_of(5000.0, 2.3) == (pytest.approx(230.0), True)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(2.3, "2.3 hours"), (1.0, "1 hour"), (47.6, "48 hours"), (0.21, "13 minutes"), (0.01, "36 seconds")],
)
def test_calibration_footage_is_never_told_in_nights(hours: float, words: str) -> None:
    assert wording.footage(hours) == words
    assert wording.measured_against(hours) == f"measured against {words} of normal footage of this camera"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (8099.0, "2 h 15 min"),
        (5_400_000.0, "1,500 h 00 min"),
    ],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_each_detector_of_the_tables_has_words_and_a_new_one_its_name() -> None:
    assert set(wording.DETECTORS) == set(tables.DETECTORS)
    assert wording.detector("motion") == "motion that is rarely or never seen there"
    assert "'sound'" in wording.detector("sound")


def test_each_status_of_the_tables_has_words_and_so_has_the_time_without_a_row() -> None:
    assert set(wording.STATUSES) == {*tables.STATUSES, "unaccounted"} == set(timeline.PAINTED)


@pytest.mark.parametrize(
    ("part", "total", "words"),
    [(3, 3, "100%"), (86_399, 86_400, "99.9%"), (1, 3, "33.3%"), (0, 9, "0%"), (0, 0, "\N{EN DASH}")],
)
def test_a_share_is_rounded_down_so_that_only_all_of_it_is_100_percent(part: int, total: int, words: str) -> None:
    assert wording.share(part, total) == words


def test_a_video_is_called_by_the_last_parts_of_its_uri() -> None:
    assert wording.video("file:///site/gate%202/2026-03-01/a%20b.mp4", "2026-03-01") == "2026-03-01/a b.mp4"
    assert wording.video("s3://site/gate/a%20b.mp4", "undated") == "a%20b.mp4"


def test_a_moment_is_told_in_utc_or_from_the_start_of_its_video() -> None:
    assert wording.moment(datetime(2026, 3, 1, 8, 0, 10, 200_000, UTC), 3.0) == "2026-03-01 08:00:10 UTC"
    assert wording.moment(None, 185.0) == "3 min 05 s into the video"
