"""The morning report: one file that tells first what was not looked at, then what was odd."""

from __future__ import annotations

import dataclasses
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from nights import Night, film, rows

from stmae.report.night import ReportError, night_report, read_night, render
from stmae.storage import open_store


class Outline(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_a_report_is_one_file_that_asks_the_network_for_nothing(scored: Path, tmp_path: Path) -> None:
    out = night_report(str(scored), None, None, tmp_path / "reports" / "night.html")
    assert [path.name for path in out.parent.iterdir()] == ["night.html"]
    outline = Outline(out.read_text(encoding="utf-8"))
    assert not {tag for tag, _ in outline.tags} & {"script", "link", "iframe", "object", "form"}
    sources = [
        attributes[name] or "" for _, attributes in outline.tags for name in ("src", "href") if name in attributes
    ]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_a_report_shows_every_event_with_frame_error_map_and_box(scored: Path, tmp_path: Path) -> None:
    events = rows(scored, "events")
    outline = Outline(night_report(str(scored), None, None, tmp_path / "night.html").read_text())
    assert len([tag for tag, _ in outline.tags if tag == "img"]) == 2 * len(events) > 0
    for event in events:
        assert event["event_id"] in outline.text
        assert f"{event['peak_score']:.1f}" in outline.text
    boxes = [attributes["style"] for tag, attributes in outline.tags if tag == "i"]
    assert all(re.fullmatch(r"left:[\d.]+%;top:[\d.]+%;width:[\d.]+%;height:[\d.]+%", box or "") for box in boxes)
    assert "Everything was looked at" in outline.text


def test_what_was_not_looked_at_comes_before_the_events(night: Night, tmp_path: Path) -> None:
    site = tmp_path / "<b>site & co"
    film(site / "good.mp4", 40)
    (site / "zero.mp4").write_bytes(b"")
    (site / "text.mp4").write_text("<script>alert(1)</script>")
    night.score(site, tmp_path / "tables")
    page = night_report(str(tmp_path / "tables"), None, None, tmp_path / "night.html").read_text()
    assert "<b>site" not in page
    assert "<script" not in page
    text = Outline(page).text
    assert text.index("Not looked at") < text.index("the file has 0 bytes") < text.index("Events")
    assert "<b>site & co" in text


def test_sources_that_a_run_left_undone_are_told(scored: Path) -> None:
    data = read_night(open_store(str(scored)), None, None)
    data = dataclasses.replace(data, runs=[data.runs[0] | {"sources_failed": 2}])
    assert "left 2 of its 5 videos undone" in render(data)


def test_a_report_keeps_one_day_and_says_where_there_is_nothing(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "night.html"
    text = Outline(night_report(str(scored), None, "2026-03-02", out).read_text()).text
    assert "Night report for 2026-03-02" in text
    assert "yard 2" in text
    assert "gate" not in text
    out.unlink()
    for model, date, why in [(None, "2030-01-01", "check the date"), ("other-00000000", None, "no run of model")]:
        with pytest.raises(ReportError, match=why):
            night_report(str(scored), model, date, out)
    with pytest.raises(ReportError, match="score an archive first"):
        night_report(str(tmp_path), None, None, out)
    assert not out.exists()


def test_an_event_without_its_thumbnail_is_still_reported(scored: Path, tmp_path: Path) -> None:
    shutil.copytree(scored, tmp_path / "tables")
    shutil.rmtree(tmp_path / "tables" / "thumbnails")
    page = night_report(str(tmp_path / "tables"), None, None, tmp_path / "night.html").read_text()
    assert all(event["event_id"] in page for event in rows(scored, "events"))


def test_tables_on_s3_are_reported_too(bucket: tuple[Any, str], night: Night, archive: Path, tmp_path: Path) -> None:
    tables = f"s3://{bucket[1]}/tables"
    night.score(archive, tables, include="08-00-00.mp4")
    page = night_report(tables, None, None, tmp_path / "night.html").read_text()
    assert page.count("data:image/jpeg") >= 2
