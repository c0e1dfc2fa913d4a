"""The morning report: one file that tells first what was not looked at, then the events."""

from __future__ import annotations

import base64
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_tables import MODEL, MadeTables
from nights import Night, film, rows

from stmae.report.night import ReportError, night_report
from stmae.storage import open_store

PICTURE = np.full((90, 160, 3), (40, 90, 140), np.uint8)


class Outline(HTMLParser):
    """Tags with their attributes, and the text of a page with single spaces."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._text += " "

    def handle_data(self, data: str) -> None:
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
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


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
    assert "Everything was looked at Each video was decoded to its end: 1 h 00 min, of which 1 h 00 min" in text
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


def test_coverage_is_counted_by_camera(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {}, {})
    made.video("gate", "09-00-00.mp4", status="truncated", frames_decoded=100, frames_scored=96, seconds_decoded=10.0)
    made.video("yard")
    text = report(made, tmp_path).text
    assert "gate 2 36,100 36,092 1 h 00 min 2 1 scored 1 truncated yard 1 36,000 35,996 1 h 00 min 0 1 scored" in text


def test_a_report_keeps_one_day_and_says_where_there_is_nothing(made: MadeTables, tmp_path: Path) -> None:
    made.events(made.video("gate"), {})
    made.video("yard 2", date="2026-03-02")
    text = report(made, tmp_path, "2026-03-02").text
    assert "Night report for 2026-03-02" in text
    assert "yard 2" in text
    assert "Nothing exceeded" in text
    assert "gate 1" not in text
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
    assert "Everything was looked at" in outline.text


def test_bad_videos_of_a_real_run_are_told(night: Night, tmp_path: Path) -> None:
    site = tmp_path / "site"
    film(site / "good.mp4", 40)
    (site / "zero.mp4").write_bytes(b"")
    (site / "text.mp4").write_text("<script>alert(1)</script>")
    night.score(site, tmp_path / "tables")
    page = night_report(str(tmp_path / "tables"), None, None, tmp_path / "night.html").read_text()
    assert "<script" not in page
    text = Outline(page).text
    assert text.index("Not looked at") < text.index("the file has 0 bytes") < text.index("Coverage by camera")
    assert "2 videos not, or not wholly, looked at" in text
