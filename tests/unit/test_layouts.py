"""Archive layouts: camera, date and start time from an object's path."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae import tables
from stmae.archive.layouts import is_video, parse

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1, max_size=20)


@given(camera=NAMES, moment=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_dated_path_states_camera_date_and_start(camera: str, moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    path = f"site/{camera}/{moment:%Y-%m-%d}/{moment:%H-%M-%S}.mp4"
    assert parse(path, "archive") == (f"site/{camera}", f"{moment:%Y-%m-%d}", moment)


@pytest.mark.parametrize(
    ("path", "camera", "date"),
    [
        ("a.mp4", "archive", "undated"),
        ("gate/a.mp4", "gate", "undated"),
        ("gate/08-00-00.mp4", "gate", "undated"),
        ("2026-03-01/08-00-0x.mp4", "archive", "2026-03-01"),
        ("gate/2026-02-30/08-00-00.mp4", "gate/2026-02-30", "undated"),
        ("gate/2026-03-01/25-00-00.mp4", "gate", "2026-03-01"),
    ],
)
def test_a_path_without_a_valid_date_or_time_has_no_start(path: str, camera: str, date: str) -> None:
    assert parse(path, "archive") == (camera, date, None)


@given(path=st.text(max_size=60))
def test_any_path_can_be_parsed(path: str) -> None:
    camera, date, _ = parse(path, "archive")
    assert camera
    assert date == tables.UNDATED or len(date) == 10


@pytest.mark.parametrize("path", ["a.mp4", "gate/a.MKV", "gate/2026-03-01/08-00-00.avi"])
def test_files_with_a_videos_extension_are_videos(path: str) -> None:
    assert is_video(path)


@pytest.mark.parametrize("path", ["notes.txt", "mp4", "gate/._a.mp4", ".trash/a.mp4", "gate/.writing-a.mp4"])
def test_hidden_and_other_files_are_no_videos(path: str) -> None:
    assert not is_video(path)
