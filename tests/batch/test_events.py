"""Events are a pure function of scores and calibration."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nights import ALERT, read

from stmae import tables
from stmae.batch.events import FPS_OF_ONE_FRAME, events_table, frame_rate, peak_box
from stmae.batch.plan import Source
from stmae.batch.work import round_to_8_bits, scores_table
from stmae.serving.client import SegmentScores

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SOURCE = Source("s3://a/gate/x.mp4", "gate/x.mp4", "gate", "2026-03-01", START, "e7a9", 1)
PARTITION = SOURCE.partition("m-01234567")

CURVES = hnp.arrays(np.float32, st.integers(1, 80), elements=st.floats(5, 40, width=32))


def scores_of(psnr: np.ndarray, fps: float = 10.0) -> pa.Table:
    generator = np.random.default_rng(len(psnr))
    tiles = generator.random((len(psnr), 16, 16), np.float32)
    part = SegmentScores(psnr.astype(np.float32), generator.random((len(psnr), 2), np.float32), tiles)
    return scores_table(SOURCE, [index / fps for index in range(len(psnr) + 4)], [part])


@given(curve=CURVES)
def test_the_same_rows_give_the_same_events_in_order_and_apart(curve: np.ndarray) -> None:
    scores = scores_of(curve)
    assert events_table(scores, ALERT, PARTITION).equals(events_table(scores, ALERT, PARTITION))
    events = events_table(scores, ALERT, PARTITION).to_pylist()
    for event in events:
        assert 4 <= event["start_frame"] <= event["peak_frame"] <= event["end_frame"] < len(curve) + 4
        assert event["peak_score"] > ALERT.enter
        assert 0 <= event["box_left"] < event["box_right"] <= 1
        assert 0 <= event["box_top"] < event["box_bottom"] <= 1
    for one, next_one in itertools.pairwise(events):
        assert next_one["start_frame"] - one["end_frame"] > round(ALERT.merge_seconds * 10)
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_dip_becomes_one_event_with_its_times_and_its_place() -> None:
    psnr = np.full(60, 15.3, np.float32)
    psnr[30:40] = 14.0
    psnr[35] = 8.0
    (event,) = events_table(scores_of(psnr), ALERT, PARTITION).to_pylist()
    assert (event["start_frame"], event["peak_frame"], event["end_frame"]) == (33, 39, 44)
    assert event["peak_s"] == 3.9
    assert event["peak_time"] == datetime(2026, 3, 1, 8, 0, 3, 900_000, tzinfo=UTC)
    assert event["thumbnail"].endswith(f"date=2026-03-01/{SOURCE.key}-000039.jpg")
    assert event["calibration_digest"] == ALERT.digest()


def test_normal_footage_has_no_event() -> None:
    assert events_table(scores_of(np.full(60, 15.3, np.float32)), ALERT, PARTITION).num_rows == 0
    assert events_table(tables.SCORES.empty_table(), ALERT, PARTITION).num_rows == 0


def test_the_box_surrounds_the_peak_and_the_tiles_above_a_quarter_of_it_that_touch_it() -> None:
    tiles = np.full((16, 16), 0.1, np.float32)
    tiles[2, 3], tiles[3, 4], tiles[4, 4], tiles[4, 5] = 1.0, 0.3, 0.4, 0.25
    tiles[12, 12] = 0.9  # as odd, but elsewhere
    assert peak_box(tiles) == (3 / 16, 2 / 16, 5 / 16, 5 / 16)
    assert peak_box(np.zeros((16, 16))) == (0, 0, 1, 1)


def test_the_frame_rate_is_that_of_most_steps() -> None:
    assert frame_rate(np.array([0.0, 0.2, 0.4, 5.0, 5.2])) == pytest.approx(5.0)
    assert frame_rate(np.array([0.4])) == FPS_OF_ONE_FRAME


@given(values=hnp.arrays(np.float32, 20, elements=st.floats(0, 4, width=32, allow_subnormal=False)))
def test_rounded_errors_are_within_a_256th_and_stay(values: np.ndarray) -> None:
    rounded = round_to_8_bits(values)
    np.testing.assert_allclose(rounded, values, rtol=1 / 256)
    assert (round_to_8_bits(rounded) == rounded).all()
    assert not (rounded.view(np.uint32) & 0xFFFF).any()


def test_events_in_the_tables_can_be_rebuilt_from_the_scores_in_the_tables(scored: Path) -> None:
    scores, events = read(scored, "scores"), read(scored, "events")
    assert events.num_rows > 0
    for name in pc.unique(scores["source"]).to_pylist():
        of_source = scores.filter(pc.field("source") == name).sort_by("frame")
        first = of_source.slice(0, 1).to_pylist()[0]
        partition = tables.Partition(first["model"], first["camera"], first["date"])
        rebuilt = events_table(of_source, ALERT, partition)
        kept = events.filter(pc.field("source") == name).select(tables.EVENTS.names).sort_by("start_frame")
        assert rebuilt.to_pylist() == kept.to_pylist()


def test_a_stricter_calibration_needs_no_video(scored: Path) -> None:
    scores = read(scored, "scores")
    name = read(scored, "events")["source"][0]
    of_source = scores.filter(pc.field("source") == name).sort_by("frame")
    strict = dataclasses.replace(ALERT, enter=1e9)
    assert events_table(of_source, strict, PARTITION).num_rows == 0
