"""Events are a pure function of the rows of scores and heat maps and a calibration."""

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
from made_scores import FPS, PLACE, fit, values_of, walkers, with_tile
from nights import Night, read

from stmae import tables
from stmae.archive.layouts import Place
from stmae.archive.sources import Source
from stmae.batch.events import events_table
from stmae.batch.rows import FrameRows, heatmap_of, rounded
from stmae.batch.stream import Sample
from stmae.scoring import DETECTORS
from stmae.scoring.normality import FrameValues
from stmae.scoring.raw import RawScores
from stmae.storage.document import digest

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SOURCE = Source("s3://a/gate/x.mp4", Place("gate", "2026-03-01", START), "e7a9", 1)
PARTITION = tables.Partition("m-01234567", "gate", "2026-03-01")
MODEL, CALIBRATION = fit([walkers(600, seed) for seed in range(3)], event_hours=0.2)


def tables_of(raw: RawScores) -> tuple[pa.Table, pa.Table]:
    """Returns the rows of scores and of heat maps that the batch job writes for these raw scores."""
    rows = FrameRows()
    samples = [Sample(SOURCE.uri, index + 4, (index + 4) / FPS, 0.0) for index in range(len(raw))]
    rows.add(samples, raw, values_of(MODEL, raw), np.zeros(len(raw), np.bool_))
    sources = {SOURCE.uri: (SOURCE, START)}
    return rows.scores(sources), rows.heatmaps(sources)


@pytest.mark.parametrize("seed", range(5))
def test_events_are_in_order_apart_and_within_the_footage(seed: int) -> None:
    random, raw = np.random.default_rng(seed), walkers(300, seed=10 + seed)
    for start in random.integers(0, 290, 6):
        raw = with_tile(raw, "flow_tiles", slice(start, start + 8), (6.0, 0.0))
    scores, heatmaps = tables_of(raw)
    assert events_table(scores, heatmaps, CALIBRATION, PARTITION).equals(
        events_table(scores, heatmaps, CALIBRATION, PARTITION)
    )
    events = events_table(scores, heatmaps, CALIBRATION, PARTITION).to_pylist()
    assert events
    for event in events:
        assert 4 <= event["start_frame"] <= event["peak_frame"] <= event["end_frame"] < 304
        assert 0 <= event["box_left"] < event["box_right"] <= 1
        assert 0 <= event["box_top"] < event["box_bottom"] <= 1
        assert event["score"] == pytest.approx(np.log10(event["return_period_hours"]))
        assert event["return_period_hours"] >= CALIBRATION.event_hours or event["bounded"]
    for one, next_one in itertools.pairwise(events):
        assert next_one["start_frame"] - one["end_frame"] > round(CALIBRATION.merge_seconds * FPS)
    assert len({event["event_id"] for event in events}) == len(events)


def test_an_anomaly_becomes_one_event_with_its_times_its_place_and_its_detector() -> None:
    raw = with_tile(walkers(200, seed=9), "flow_tiles", slice(130, 145), (6.0, 0.0))
    (event,) = events_table(*tables_of(raw), CALIBRATION, PARTITION).to_pylist()
    # Rows 130 to 144 are frames 134 to 148.
    assert abs(event["start_frame"] - 134) <= 10
    assert 134 <= event["peak_frame"] <= 148
    assert abs(event["end_frame"] - 148) <= 10
    assert event["peak_time"] == START + (event["peak_time"] - START)
    assert event["peak_s"] == event["peak_frame"] / FPS
    assert event["detector"] in DETECTORS
    row, column = PLACE
    assert event["box_left"] <= column / 16 < (column + 1) / 16 <= event["box_right"]
    assert event["box_top"] <= row / 16 < (row + 1) / 16 <= event["box_bottom"]
    assert event["thumbnail"].endswith(f"date=2026-03-01/{SOURCE.key}-{event['peak_frame']:06d}.jpg")
    assert event["calibration_digest"] == digest(CALIBRATION)
    assert event["calibration_hours"] == pytest.approx(0.05)


def test_what_is_rarer_than_may_be_claimed_is_told_as_a_bound() -> None:
    raw = with_tile(walkers(200, seed=9), "flow_tiles", slice(130, 145), (20.0, 0.0))
    (event,) = events_table(*tables_of(raw), CALIBRATION, PARTITION).to_pylist()
    assert event["bounded"]
    assert event["return_period_hours"] == pytest.approx(100 * event["calibration_hours"])


def test_no_footage_has_no_event() -> None:
    empty = tables.SCORES.empty_table(), tables.HEATMAPS.empty_table()
    assert events_table(*empty, CALIBRATION, PARTITION).num_rows == 0


def test_a_heat_map_keeps_the_highest_of_each_tile_and_second() -> None:
    heatmaps = np.zeros((25, 16, 16), np.float32)
    heatmaps[3, 2, 5], heatmaps[8, 2, 5], heatmaps[12, 7, 7], heatmaps[20] = 2.0, 3.5, 99.0, 0.4
    frames = FrameRows()
    samples = [Sample(SOURCE.uri, index + 4, (index + 4) / 10, 0.0) for index in range(25)]
    zeros = FrameValues(np.zeros((25, 4), np.float32), heatmaps)
    for part in (slice(0, 5), slice(5, 25)):
        frames.add(samples[part], walkers(25, 0)[part], zeros[part], np.zeros(len(samples[part]), np.bool_))
    rows = frames.heatmaps({SOURCE.uri: (SOURCE, START)}).to_pylist()
    assert [row["second"] for row in rows] == [0, 1, 2]
    first, second, third = (heatmap_of(row["heatmap"]) for row in rows)
    assert (first[2, 5], second[2, 5], second[7, 7]) == (2.0, 3.5, 255 / tables.HEATMAP_STEPS)
    assert not third.any()


@given(values=hnp.arrays(np.float32, 20, elements=st.floats(-9, 40, width=32, allow_subnormal=False)))
def test_rounded_values_are_within_a_2048th_and_stay(values: np.ndarray) -> None:
    once = rounded(values)
    np.testing.assert_allclose(once, values, rtol=1 / 2048)
    assert (rounded(once) == once).all()


def test_events_in_the_tables_can_be_rebuilt_from_scores_and_heat_maps_in_the_tables(
    scored: Path, night: Night
) -> None:
    scores, heatmaps, events = (read(scored, table) for table in ("scores", "heatmaps", "events"))
    assert events.num_rows > 0
    for name in pc.unique(scores["source"]).to_pylist():
        own = pc.field("source") == name
        of_source = scores.filter(own).sort_by("frame")
        first = of_source.slice(0, 1).to_pylist()[0]
        partition = tables.Partition(first["model"], first["camera"], first["date"])
        maps = heatmaps.filter(own).sort_by("second")
        rebuilt = events_table(of_source, maps, night.calibration(), partition)
        kept = events.filter(own).select(tables.EVENTS.names).sort_by("start_frame")
        assert rebuilt.to_pylist() == kept.to_pylist()


def test_a_stricter_calibration_needs_no_video(scored: Path, night: Night) -> None:
    own = pc.field("source") == read(scored, "events")["source"][0]
    of_source, maps = (read(scored, table).filter(own) for table in ("scores", "heatmaps"))
    strict = dataclasses.replace(night.calibration(), event_hours=1e30)
    assert events_table(of_source.sort_by("frame"), maps.sort_by("second"), strict, PARTITION).num_rows == 0
