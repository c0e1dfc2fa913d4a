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
from evidence import FPS, PLACE, calm, with_tile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nights import ALERT, Night, read

from stmae import tables
from stmae.batch.events import FPS_OF_ONE_FRAME, events_table, frame_rate
from stmae.batch.plan import Source
from stmae.batch.rows import raw_scores_of, round_to_8_bits, round_to_64ths, scores_table
from stmae.scoring.calibration import Calibration
from stmae.scoring.localization import peak_box
from stmae.scoring.raw import RawScores

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SOURCE = Source("s3://a/gate/x.mp4", "gate/x.mp4", "gate", "2026-03-01", START, "e7a9", 1)
PARTITION = SOURCE.partition("m-01234567")

CURVES = hnp.arrays(np.float32, st.integers(1, 80), elements=st.floats(2**-20, 1, width=32))


def scores_of(evidence: RawScores) -> pa.Table:
    return scores_table(SOURCE, [index / FPS for index in range(len(evidence) + 4)], evidence)


def with_errors(errors: np.ndarray) -> RawScores:
    """Calm but for the errors of one tile, [F]."""
    return with_tile(calm(len(errors), seed=9), "error_tiles", slice(None), errors)


@settings(max_examples=40)
@given(curve=CURVES)
def test_the_same_rows_give_the_same_events_in_order_and_apart(curve: np.ndarray) -> None:
    scores = scores_of(with_errors(curve))
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


def test_an_oddity_becomes_one_event_with_its_times_its_place_and_its_kind() -> None:
    odd = with_tile(calm(60, seed=9), "flow_tiles", slice(30, 40), (4.0, 0.0))
    odd = with_tile(odd, "error_tiles", slice(34, 35), 0.1)
    (event,) = events_table(scores_of(odd), ALERT, PARTITION).to_pylist()
    # Rows 30 to 39 are frames 34 to 43.
    assert (event["start_frame"], event["peak_frame"], event["end_frame"]) == (34, 38, 43)
    assert event["peak_s"] == 3.8
    assert event["peak_time"] == datetime(2026, 3, 1, 8, 0, 3, 800_000, tzinfo=UTC)
    assert event["kind"] == "motion"
    row, column = PLACE
    assert (event["box_left"], event["box_top"]) == (column / 16, row / 16)
    assert (event["box_right"], event["box_bottom"]) == ((column + 1) / 16, (row + 1) / 16)
    assert int(np.argmax(event["tiles"])) == 16 * row + column
    assert event["thumbnail"].endswith(f"date=2026-03-01/{SOURCE.key}-000038.jpg")
    assert event["calibration_digest"] == ALERT.digest()


def test_normal_footage_has_no_event() -> None:
    assert events_table(scores_of(calm(60, seed=9)), ALERT, PARTITION).num_rows == 0
    assert events_table(tables.SCORES.empty_table(), ALERT, PARTITION).num_rows == 0


def test_the_box_surrounds_the_peak_and_the_tiles_above_half_of_it_that_touch_it() -> None:
    tiles = np.full((16, 16), 0.7, np.float32)
    tiles[2, 3], tiles[3, 4], tiles[4, 4], tiles[4, 5] = 10.0, 5.5, 7.0, 5.0
    tiles[12, 12] = 9.0  # as odd, but elsewhere
    assert peak_box(tiles) == (3 / 16, 2 / 16, 5 / 16, 5 / 16)
    assert peak_box(np.zeros((16, 16))) == (0, 0, 1, 1)


def test_the_frame_rate_is_that_of_most_steps() -> None:
    assert frame_rate(np.array([0.0, 0.2, 0.4, 5.0, 5.2])) == pytest.approx(5.0)
    assert frame_rate(np.array([0.4])) == FPS_OF_ONE_FRAME


@given(values=hnp.arrays(np.float32, 20, elements=st.floats(-9, 4, width=32, allow_subnormal=False)))
def test_rounded_tiles_are_within_a_256th_and_stay(values: np.ndarray) -> None:
    rounded = round_to_8_bits(values)
    np.testing.assert_allclose(rounded, values, rtol=1 / 256)
    assert (round_to_8_bits(rounded) == rounded).all()
    assert not (rounded.view(np.uint32) & 0xFFFF).any()


@given(values=hnp.arrays(np.float32, 20, elements=st.floats(-30, 30, width=32)))
def test_rounded_flow_is_within_a_128th_of_a_pixel_and_stays(values: np.ndarray) -> None:
    rounded = round_to_64ths(values)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, values, rtol=0, atol=1 / 128)
    assert round_to_64ths(rounded).tobytes() == rounded.tobytes()
    assert not np.signbit(rounded[rounded == 0]).any()


@settings(max_examples=40)
@given(curve=CURVES)
def test_what_the_tables_keep_is_the_evidence_but_for_the_rounding_of_tiles(curve: np.ndarray) -> None:
    evidence = with_errors(curve)
    kept = raw_scores_of(scores_of(evidence))
    rounding = dict.fromkeys(("error_tiles", "location_tiles", "feature_tiles"), round_to_8_bits)
    rounding["flow_tiles"] = round_to_64ths
    for field in dataclasses.fields(RawScores):
        measured, found = getattr(evidence, field.name), getattr(kept, field.name)
        assert found.shape == measured.shape
        np.testing.assert_array_equal(found, rounding.get(field.name, np.asarray)(measured))


def test_events_in_the_tables_can_be_rebuilt_from_the_scores_in_the_tables(scored: Path, night: Night) -> None:
    calibration = Calibration.from_json(night.calibration.read_text())
    scores, events = read(scored, "scores"), read(scored, "events")
    assert events.num_rows > 0
    for name in pc.unique(scores["source"]).to_pylist():
        of_source = scores.filter(pc.field("source") == name).sort_by("frame")
        first = of_source.slice(0, 1).to_pylist()[0]
        partition = tables.Partition(first["model"], first["camera"], first["date"])
        rebuilt = events_table(of_source, calibration, partition)
        kept = events.filter(pc.field("source") == name).select(tables.EVENTS.names).sort_by("start_frame")
        assert rebuilt.to_pylist() == kept.to_pylist()


def test_a_stricter_calibration_needs_no_video(scored: Path) -> None:
    scores = read(scored, "scores")
    name = read(scored, "events")["source"][0]
    of_source = scores.filter(pc.field("source") == name).sort_by("frame")
    strict = dataclasses.replace(ALERT, enter=1e9)
    assert events_table(of_source, strict, PARTITION).num_rows == 0
