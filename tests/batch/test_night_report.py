"""The morning report: one file that tells first what was not looked at, then the events."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from made_tables import MODEL, MadeTables
from nights import Night, film, rows

from stmae import tables
from stmae.batch import days
from stmae.report.night import ReportError, night_report
from stmae.storage import StoreError, open_store

PICTURE = np.full((90, 160, 3), (40, 90, 140), np.uint8)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


class Outline(HTMLParser):
    """Tags with their attributes, and the text of a page with single spaces."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.strips: list[list[dict[str, str]]] = []
        """The shapes of each timeline: their attributes, and the `text` that tells of them."""
        self._text = ""
        self._on_strip = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._text += " "
        if tag == "svg" and dict(attrs)["class"] == "strip":
            self.strips.append([])
            self._on_strip = True
        elif self._on_strip and tag in ("rect", "circle"):
            self.strips[-1].append({name: value or "" for name, value in attrs} | {"text": ""})

    def handle_endtag(self, tag: str) -> None:
        self._on_strip = self._on_strip and tag != "svg"

    def handle_data(self, data: str) -> None:
        if self._on_strip and self.tags[-1][0] == "title":
            self.strips[-1][-1]["text"] += data.strip()
        else:
            self._text += data

    @property
    def text(self) -> str:
        return " ".join(self._text.split())

    @property
    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture
def made(tmp_path: Path) -> MadeTables:
    """Empty tables with one run of the model."""
    (tmp_path / "tables").mkdir()
    made = MadeTables(open_store(str(tmp_path / "tables")))
    made.run()
    return made


def report(made: MadeTables, tmp_path: Path, date: str | None = None) -> Outline:
    out = night_report(str(tmp_path / "tables"), None, date, tmp_path / "night.html")
    return Outline(out.read_text(encoding="utf-8"))


def card(outline: Outline, number: int) -> str:
    """The text of an event, from its number on."""
    return outline.text[outline.text.index(f" {number}. ") :].partition(" Event ")[0]


def test_a_report_is_one_file_that_asks_the_network_for_nothing(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    made.events(video, {"thumbnail": made.thumbnail(video, 229, PICTURE)})
    out = night_report(str(tmp_path / "tables"), None, None, tmp_path / "reports" / "night.html")
    assert [path.name for path in out.parent.iterdir()] == ["night.html"]
    outline = Outline(out.read_text(encoding="utf-8"))
    assert not {tag for tag, _ in outline.tags} & {"script", "link", "iframe", "object", "form"}
    sources = [attributes[key] or "" for _, attributes in outline.tags for key in ("src", "href") if key in attributes]
    assert sources
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in sources)


def test_an_event_tells_how_rare_it_is_what_was_seen_and_what_that_rests_on(made: MadeTables, tmp_path: Path) -> None:
    made.events(
        made.video("gate"),
        {"return_period_hours": 960.0, "calibration_hours": 48.0, "detector": "motion"},
        {"return_period_hours": 230.0, "bounded": True, "calibration_hours": 2.3, "detector": "appearance"},
        {"return_period_hours": 14.0, "calibration_hours": 2.3, "detector": "persistence"},
    )
    outline = report(made, tmp_path)
    for number, words in enumerate(
        (
            "about once in 40 nights motion that is rarely or never seen there measured against 48 hours of normal",
            "rarer than once in 9.5 nights something moving that looks like nothing that normally moves here "
            "measured against 2.3 hours of normal footage of this camera",
            "about once in 14 hours something that stays where nothing normally stays measured against 2.3 hours",
        ),
        1,
    ):
        assert words in card(outline, number)
    assert "rarer than 100 times the footage that it was measured against cannot be told apart" in outline.text


def test_events_come_with_the_rarest_first_whatever_their_camera(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {"return_period_hours": 30.0}, {"return_period_hours": 300.0})
    made.events(made.video("yard"), {"return_period_hours": 100.0})
    outline = report(made, tmp_path)
    assert [card(outline, number).split()[1] for number in (1, 2, 3)] == ["gate", "yard", "gate"]
    assert "about once in 12 nights" in card(outline, 1)


def test_the_box_and_the_times_are_those_of_the_event(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    made.events(video, {"thumbnail": made.thumbnail(video, 229, PICTURE)})
    outline = report(made, tmp_path)
    (box,) = [attributes["style"] for tag, attributes in outline.tags if tag == "i"]
    assert box == "left: 25.00%; top: 50.00%; width: 12.50%; height: 25.00%"
    assert "Starts 2026-03-01 08:00:10 UTC Peak 2026-03-01 08:00:22 UTC Lasts 30.0 s" in outline.text
    assert "Video 2026-03-01/08-00-00.mp4" in outline.text
    made.events(made.video("loose", start_time=None), {f"{name}_time": None for name in ("start", "peak", "end")})
    assert "Starts 10.2 s into the video" in report(made, tmp_path).text


def test_the_heat_map_is_that_of_the_second_of_the_peak(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    path = made.thumbnail(video, 229, PICTURE)
    (event,) = made.events(video, {"thumbnail": path})
    at_peak, elsewhere = np.zeros((16, 16)), np.zeros((16, 16))
    at_peak[3, 12] = elsewhere[12, 3] = 5.0
    second = int(event["peak_s"])
    made.heatmaps(video, {second - 1: elsewhere, second: at_peak, second + 1: elsewhere})
    frame, heatmap = report(made, tmp_path).images
    assert (frame["alt"], heatmap["alt"]) == ("frame at the peak", "heat map of the peak")
    data = base64.b64decode((heatmap["src"] or "").partition(",")[2])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
    colourful = cv2.GaussianBlur((image.max(axis=2) - image.min(axis=2)).astype(np.float32), (9, 9), 0)
    row, column = np.unravel_index(int(colourful.argmax()), colourful.shape)
    assert (row * 16 // image.shape[0], column * 16 // image.shape[1]) == (3, 12)


def test_a_heat_map_or_picture_that_is_missing_is_left_out_and_said(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    path = made.thumbnail(video, 229, PICTURE)
    made.events(video, {"thumbnail": path})
    outline = report(made, tmp_path)
    assert len(outline.images) == 1
    assert "The tables hold no heat map of this second." in outline.text
    made.heatmaps(video, {22: np.ones((16, 16))})
    outline = report(made, tmp_path)
    assert len(outline.images) == 2
    assert "no heat map" not in outline.text
    (tmp_path / "tables" / path).unlink()
    outline = report(made, tmp_path)
    assert [image["alt"] for image in outline.images] == ["heat map of the peak"]
    assert "No picture of the peak is kept." in outline.text


def test_what_was_not_looked_at_comes_before_the_events(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {})
    made.video("gate", "09-00-00.mp4", status="truncated", seconds_decoded=2700.0, reason="the file is cut")
    made.video("<b>yard & co", status="empty", frames_reported=None, frames_decoded=0, seconds_reported=None)
    outline = report(made, tmp_path)
    text = outline.text
    assert text.index("Not looked at, or not wholly") < text.index("the file is cut") < text.index("Events The rarest")
    assert "2026-03-01/09-00-00.mp4 truncated 15 min 00 s the file is cut" in text
    assert "<b>yard & co" in text
    assert "empty all of it" in text
    assert "2 videos not, or not wholly, looked at" in text
    assert "Everything was looked at" not in text


def test_everything_was_looked_at_only_where_that_is_so(made: MadeTables, tmp_path: Path) -> None:
    made.video("gate")
    text = report(made, tmp_path).text
    assert "Every recording was looked at" in text
    assert "Nothing exceeded what is normal" in text
    assert "Not looked at" not in text


def test_where_nothing_was_scored_nothing_is_called_normal(made: MadeTables, tmp_path: Path) -> None:
    made.video("gate", status="undecodable", frames_decoded=0, seconds_decoded=0.0, seconds_scored=0.0)
    text = report(made, tmp_path).text
    assert "No footage was scored" in text
    assert "normal for these cameras" not in text


def test_videos_that_a_run_left_undone_are_told_until_a_run_takes_them_up(made: MadeTables, tmp_path: Path) -> None:
    made.video("gate")
    made.run(1, sources=5, sources_failed=2)
    assert "The run of 2026-03-03 08:00 UTC left 2 of its 5 videos undone" in report(made, tmp_path).text
    made.run(2, sources=1, sources_failed=0)
    assert "left 2 of its 5 videos undone" in report(made, tmp_path).text, "a run of one video does not make up for it"
    made.run(3, sources=6, sources_failed=0, archive="file:///other")
    assert "left 2 of its 5 videos undone" in report(made, tmp_path).text, "nor does one of another archive"
    made.run(4, sources=6, sources_failed=0)
    assert "undone" not in report(made, tmp_path).text


def recording(begin: float, lasts: float, status: str = "scored", **columns: Any) -> dict[str, Any]:
    """A row of coverage that begins so many seconds after MIDNIGHT; a gap has no source."""
    start = MIDNIGHT + timedelta(seconds=begin)
    looked_at = lasts if status in ("scored", "truncated") else 0.0
    return {
        **({} if status == "gap" else {"source": f"file:///archive/camera/{start:%Y-%m-%d/%H-%M-%S}.mp4", "etag": "0"}),
        "inputs": "0" * 16,
        "bytes": 1000,
        "status": status,
        "start_time": start,
        "end_time": start + timedelta(seconds=lasts),
        "seconds": lasts,
        "frames_decoded": round(10 * looked_at),
        "frames_scored": round(10 * looked_at),
        "seconds_decoded": looked_at,
        "seconds_scored": looked_at,
    } | columns


def cover(
    made: MadeTables, camera: str, rows: Iterable[dict[str, Any]], *, key: str = "08", date: str = "2026-03-01"
) -> None:
    """Writes the coverage of a camera-hour."""
    path = tables.object_path("coverage", tables.Partition(made.model, camera, date), key)
    made.store.put(path, tables.to_parquet(pa.Table.from_pylist(list(rows), schema=tables.COVERAGE)))


def line(outline: Outline, camera: str) -> str:
    """The text beside the timeline of a camera."""
    return outline.text.partition(f"Events {camera} ")[2].partition(" Events ")[0]


def test_a_timeline_adds_up_to_the_day_whatever_became_of_it(made: MadeTables, tmp_path: Path) -> None:
    hours = ["scored", "truncated", "undecodable", "empty", "missing", "skipped", "gap", "scored"]
    assert set(hours) == set(tables.STATUSES)
    cover(made, "gate", [recording(3600 * hour, 3600, status) for hour, status in enumerate(hours, 8)])
    outline = report(made, tmp_path)
    (strip,) = outline.strips
    assert sum(float(stretch["width"].rstrip("%")) for stretch in strip) == pytest.approx(100, abs=0.1)
    assert Counter(stretch["class"] for stretch in strip) == Counter([*hours, "unaccounted", "unaccounted"])
    told = {stretch["text"] for stretch in strip}
    assert {
        "00:00\N{EN DASH}08:00 unaccounted",
        "14:00\N{EN DASH}15:00 gap",
        "16:00\N{EN DASH}24:00 unaccounted",
    } < told
    assert {stretch["x"] for stretch in strip if "09:00\N{EN DASH}10:00" in stretch["text"]} == {"37.50%"}
    assert line(outline, "gate").startswith("42.8% 1 h 00 min 16 h 00 min 0")
    legend = outline.text.partition("Not looked at, or not wholly ")[2].partition(" Camera ")[0]
    assert all(f"{status} " in legend for status in (*tables.STATUSES, "unaccounted"))


def test_a_short_gap_and_shorter_trouble_are_seen(made: MadeTables, tmp_path: Path) -> None:
    cover(
        made,
        "gate",
        [
            recording(0, 36_030),
            recording(36_030, 60, "gap"),
            recording(36_090, 36_000),
            recording(72_090, 0.0, "empty"),
            recording(72_090, 10, "gap"),
            recording(72_100, 14_300),
        ],
    )
    outline = report(made, tmp_path)
    (strip,) = outline.strips
    seen = {stretch["class"]: stretch["text"] for stretch in strip}
    assert seen["gap"] == "10:00\N{EN DASH}10:02 gap"
    assert seen["empty"] == "20:01\N{EN DASH}20:02 empty"
    assert line(outline, "gate").startswith("99.9% 1 min 09 s \N{EN DASH} 0")
    assert [stretch["class"] for stretch in strip][-1] == "empty", "what must be seen lies on top"


def test_a_day_of_ten_second_files_has_few_rectangles(made: MadeTables, tmp_path: Path) -> None:
    starts = range(0, 86_400, 10)
    cover(
        made,
        "gate",
        [recording(start, 9.5, "missing" if start == 50_000 else "scored", seconds=10) for start in starts],
    )
    cover(made, "yard", [recording(start, 10, "truncated" if start % 20 else "scored") for start in starts])
    cover(made, "yore", [recording(start, 5, "gap" if start % 10 else "scored") for start in range(0, 86_400, 5)])
    gate, yard, yore = report(made, tmp_path).strips
    assert [stretch["class"] for stretch in gate] == ["scored", "scored", "missing"]
    assert [stretch["class"] for stretch in yard] == ["truncated"]
    assert len(yore) == 1


def test_what_another_recording_shows_was_looked_at_and_a_pause_was_not(made: MadeTables, tmp_path: Path) -> None:
    cover(
        made,
        "gate",
        [
            recording(0, 86_400, seconds=82_800),
            recording(
                7200, 3600, "skipped", reason="another recording of the camera covers the same time", seconds=0.0
            ),
            recording(43_200, 3600, "gap", reason="the recording pauses"),
        ],
    )
    (strip,) = report(made, tmp_path).strips
    assert sorted(stretch["text"] for stretch in strip) == [
        "00:00\N{EN DASH}12:00 scored",
        "12:00\N{EN DASH}13:00 gap",
        "13:00\N{EN DASH}24:00 scored",
    ]


def test_events_are_on_the_timeline_and_the_rarest_is_seen_best(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {"return_period_hours": 30.0}, {"return_period_hours": 960.0})
    outline = report(made, tmp_path)
    (strip,) = outline.strips
    common, rare = [shape for shape in strip if shape["class"] == "mark"]
    assert (common["text"], rare["text"]) == ("08:00:22 about once in 1.2 nights", "08:10:22 about once in 40 nights")
    assert strip[-1] is rare
    assert float(rare["r"]) > float(common["r"])
    assert rare["cx"] == f"{100 * (8 + 622.9 / 3600) / 24:.2f}%"
    links = [attributes["href"] for tag, attributes in outline.tags if tag == "a"]
    cards = [attributes["id"] for tag, attributes in outline.tags if tag == "article"]
    assert links == ["#event-2", "#event-1"]
    assert cards == ["event-1", "event-2"]


@pytest.mark.parametrize("camera", ["<b>yard & co</b>", "07", "yard  2", '"; <script>'])
def test_a_camera_may_have_any_name(made: MadeTables, tmp_path: Path, camera: str) -> None:
    made.events(made.video(camera), {})
    outline = report(made, tmp_path)
    assert "script" not in {tag for tag, _ in outline.tags}
    assert line(outline, " ".join(camera.split())).startswith("100% \N{EN DASH} 23 h 00 min 1")


def test_a_camera_that_fell_silent_is_told(made: MadeTables, tmp_path: Path) -> None:
    made.video("gate")
    cover(made, "yard", [recording(0, 86_400)])
    cover(made, "yard", [recording(86_400, 86_400)], date="2026-03-02")
    outline = report(made, tmp_path, "2026-03-02")
    assert "No recording for a whole day: gate" in outline.text
    assert "Every recording was looked at" not in outline.text
    assert [[stretch["text"] for stretch in strip] for strip in outline.strips] == [
        ["00:00\N{EN DASH}24:00 unaccounted"],
        ["00:00\N{EN DASH}24:00 scored"],
    ]
    assert "whole day" not in report(made, tmp_path, "2026-03-01").text


def test_a_recording_that_goes_on_after_midnight_is_on_both_days(made: MadeTables, tmp_path: Path) -> None:
    cover(made, "gate", [recording(82_800, 5400)], key="23")
    cover(made, "gate", [recording(88_200, 1800)], key="00", date="2026-03-02")
    outline = report(made, tmp_path, "2026-03-02")
    (strip,) = outline.strips
    assert {stretch["text"] for stretch in strip} == {
        "00:00\N{EN DASH}01:00 scored",
        "01:00\N{EN DASH}24:00 unaccounted",
    }
    assert " 1 video " in outline.text, "it is counted on the day on which it begins"
    first, second = report(made, tmp_path).strips
    assert {stretch["text"] for stretch in first} >= {"23:00\N{EN DASH}24:00 scored"}
    assert {stretch["text"] for stretch in second} == {stretch["text"] for stretch in strip}


def test_a_compacted_day_is_reported_as_its_hours_are(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    made.events(video, {"thumbnail": made.thumbnail(video, 229, PICTURE)})
    made.heatmaps(video, {22: np.ones((16, 16))})
    cover(made, "gate", [recording(0, 3600)], key="00")
    cover(made, "gate", [recording(36_000, 3600, "missing")], key="10")
    out = tmp_path / "night.html"
    before = night_report(str(tmp_path / "tables"), None, "2026-03-01", out).read_text()
    partition = tables.Partition(made.model, "gate", "2026-03-01")
    for table in tables.UNIT_TABLES:
        hours = days.parts_of(made.store, table, partition)
        if not hours:
            continue
        for item in list(made.store.list(partition.folder(table))):
            made.store.delete(item.path)
        made.store.put(tables.object_path(table, partition, tables.DAY_KEY), days.merge(hours))
    assert night_report(str(tmp_path / "tables"), None, "2026-03-01", out).read_text() == before
    cover(made, "gate", [recording(36_000, 3600)], key="10")
    assert "Every recording was looked at" in report(made, tmp_path, "2026-03-01").text, (
        "a later hour replaces its rows"
    )


def test_of_many_missed_videos_some_are_listed_and_the_rest_is_counted(made: MadeTables, tmp_path: Path) -> None:
    cover(made, "gate", [recording(10 * number, 10, "undecodable", reason="no index") for number in range(1000)])
    cover(made, "yard", [recording(0, 10, "missing")])
    text = report(made, tmp_path).text
    assert "1,001 videos not, or not wholly, looked at" in text
    assert "1,000 undecodable 1 missing" in text
    shown = text.count("no index")
    assert 10 <= shown <= 50
    assert f"{1001 - shown} more are in the table coverage" in text


def test_videos_without_a_time_have_a_table(made: MadeTables, tmp_path: Path) -> None:
    untimed: dict[str, Any] = {"date": "undated", "start_time": None, "end_time": None}
    video = made.video("gate", "a.mp4", **untimed)
    made.events(video, {f"{name}_time": None for name in ("start", "peak", "end")})
    made.video("gate", "b.mp4", status="truncated", **untimed)
    outline = report(made, tmp_path)
    assert "gate 2 2 h 00 min 1 1 scored 1 truncated" in outline.text
    assert not outline.strips
    made.video("yard")
    outline = report(made, tmp_path)
    assert len(outline.strips) == 1
    assert "Videos without a time" not in report(made, tmp_path, "2026-03-01").text


def test_a_write_that_was_cut_off_is_passed_over_and_a_damaged_object_is_named(
    made: MadeTables, tmp_path: Path
) -> None:
    made.video("gate")
    folder = f"coverage/model={MODEL}/camera=gate/date=2026-03-01"
    made.store.put(f"{folder}/.writing-09.parquet", b"PAR1")
    assert "Every recording was looked at" in report(made, tmp_path).text
    made.store.put(f"{folder}/09.parquet", b"PAR1")
    with pytest.raises(StoreError, match=r"09\.parquet"):
        report(made, tmp_path)


def test_a_report_keeps_one_day_and_says_where_there_is_nothing(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {})
    cover(made, "yard 2", [recording(32 * 3600, 3600)], date="2026-03-02")
    text = report(made, tmp_path, "2026-03-02").text
    assert "Night report for 2026-03-02" in text
    assert "yard 2" in text
    assert "Nothing exceeded" in text
    assert "08-00-00.mp4" not in text
    out = tmp_path / "nothing.html"
    for model, date, why in [(None, "2030-01-01", "check the date"), ("other-00000000", None, "no run of model")]:
        with pytest.raises(ReportError, match=why):
            night_report(str(tmp_path / "tables"), model, date, out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReportError, match="score an archive first"):
        night_report(str(tmp_path / "empty"), None, None, out)
    assert not out.exists()


def test_the_newest_run_s_model_is_reported_where_none_is_named(made: MadeTables, tmp_path: Path) -> None:
    made.video("gate")
    newer = MadeTables(made.store, "gate-ffffffff")
    newer.run(7)
    newer.video("yard")
    assert "Model gate-ffffffff" in report(made, tmp_path).text
    older = night_report(str(tmp_path / "tables"), MODEL, None, tmp_path / "older.html").read_text()
    assert f"Model {MODEL}" in older
    assert "yard" not in older


def test_events_beyond_those_shown_are_counted(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), *({"return_period_hours": 24.0 + number} for number in range(63)))
    outline = report(made, tmp_path)
    assert len([tag for tag, _ in outline.tags if tag == "article"]) == 60
    assert "3 more, less rare ones" in outline.text


def test_the_report_needs_neither_torch_nor_matplotlib_nor_scikit_learn(made: MadeTables, tmp_path: Path) -> None:
    video = made.video("gate")
    made.events(video, {"thumbnail": made.thumbnail(video, 229, PICTURE)})
    missing = ("torch", "matplotlib", "sklearn", "scipy", "boto3", "tritonclient")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from pathlib import Path; from stmae.report.night import night_report\n"
        "night_report(sys.argv[1], None, None, Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "tables"), str(tmp_path / "night.html")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "night.html").stat().st_size > 1000


def test_tables_on_s3_are_reported_too(bucket: tuple[Any, str], tmp_path: Path) -> None:
    uri = f"s3://{bucket[1]}/tables"
    made = MadeTables(open_store(uri))
    made.run()
    video = made.video("gate")
    made.events(video, {"thumbnail": made.thumbnail(video, 229, PICTURE)})
    made.heatmaps(video, {22: np.ones((16, 16))})
    page = night_report(uri, None, None, tmp_path / "night.html").read_text()
    assert page.count("data:image/jpeg") == 2


def test_a_real_run_is_reported_with_each_event_its_picture_and_its_heat_map(scored: Path, tmp_path: Path) -> None:
    outline = Outline(night_report(str(scored), None, None, tmp_path / "night.html").read_text())
    events = rows(scored, "events")
    assert len(outline.images) == 2 * len(events) > 0
    for event in events:
        assert event["event_id"] in outline.text
    assert "videos not, or not wholly, looked at" in outline.text
    assert "Not looked at" not in outline.text


def test_bad_videos_of_a_real_run_are_told(night: Night, tmp_path: Path) -> None:
    site = tmp_path / "site"
    film(site / "good.mp4", 40)
    (site / "zero.mp4").write_bytes(b"")
    (site / "text.mp4").write_text("<script>alert(1)</script>")
    night.score(site, tmp_path / "tables")
    page = night_report(str(tmp_path / "tables"), None, None, tmp_path / "night.html").read_text()
    assert "<script" not in page
    text = Outline(page).text
    assert text.index("Not looked at") < text.index("the file has 0 bytes") < text.index("Videos without a time")
    assert "2 videos not, or not wholly, looked at" in text
