"""Names that are markup, in every report: they are shown as they are, and change nothing of a page."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_tables import MODEL, MadeTables
from test_evaluation_report import made_up

from stmae.datasets.manifest import Manifest
from stmae.evaluation.study_table import Result, Table
from stmae.report.evaluation import evaluation_report
from stmae.report.night import night_report
from stmae.report.study import study_report
from stmae.storage import open_store

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MARKUP = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "' onload='alert(1)"),
    *("</title><script>", "</style><script>", "<!--", "-->", "]]>", "<svg onload=alert(1)>", "javascript:alert(1)"),
    *("{{ 7 * 7 }}", "{% raw %}", "&lt;b&gt;", "&#60;script&#62;", "<a href=//host>", "\u202e", "`", "\\"),
)
names = st.lists(st.sampled_from(MARKUP), min_size=1, max_size=3).map("".join)
fast = settings(max_examples=10, derandomize=True, suppress_health_check=list(HealthCheck))


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes, its links and pictures, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.policies: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policies.append(dict(attrs)["content"])

    def handle_data(self, data: str) -> None:
        self.text += data


def night(folder: Path, name: str) -> str:
    """Returns a night report in which a camera, its videos, reasons and a run's archive have a name."""
    made = MadeTables(open_store(str(folder)))
    made.run(archive=f"file:///{name}", sources_failed=1)
    row = {"source": f"file:///archive/{name}.mp4", "reason": name}
    video = made.video(name, status="truncated", **row)
    made.events(video, {"event_id": name, "detector": "motion", "start_source": name, "end_source": name})
    made.video(name, date="undated", start_time=None, end_time=None, status="undecodable", **row)
    return night_report(str(folder), MODEL, None, folder / "night.html").read_text(encoding="utf-8")


def evaluation(folder: Path, name: str) -> str:
    """Returns the page of an evaluation whose dataset, clips, scene and configuration have a name."""
    results, dataset = made_up(folder)
    clip = name.replace("/", "|")  # it is a file's name
    told = json.loads((results / "evaluation.json").read_text())
    told["name"], told["config"]["name"] = name, name
    told["clips"][0]["name"] = clip
    (results / "evaluation.json").write_text(json.dumps(told))
    with np.load(results / "scores.npz") as scores:
        np.savez(results / "scores.npz", **{key.replace("good/", f"{clip}/"): scores[key] for key in scores.files})
    made = Manifest.load(dataset)
    for kind in ("frames", "labels", "masks"):
        made.path(kind, "test", "good").rename(made.path(kind, "test", clip))
    clips = tuple(dataclasses.replace(each, name=clip) if each.name == "good" else each for each in made.clips)
    Manifest.of(dataset, made.dataset, made.size, made.fps, clips).save()
    return evaluation_report(results, dataset, folder / "page.html").read_text(encoding="utf-8")


def study(folder: Path, name: str) -> str:
    """Returns the page of a study whose configuration and variants have a name."""
    figures = {"combined_auc_micro_raw": 0.9, "psnr_auc_micro_raw": 0.8, "calibration_psnr": 30.0}
    results = [
        Result(name=f"{name}{row}", columns={"L_m": True}, row=row, seed=1, figures=figures, evaluation="")
        for row in range(2)
    ]
    table = Table(study="effects", config=name, variants=results)
    return study_report(table, folder / "study.html").read_text(encoding="utf-8")


@functools.cache
def tags_without_markup(make: Any) -> list[tuple[str, tuple[str, ...]]]:
    with tempfile.TemporaryDirectory() as folder:
        return Structure(make(Path(folder), "gate")).tags


@pytest.mark.parametrize("make", [night, evaluation, study])
@fast
@given(name=names)
def test_markup_in_names_changes_nothing_of_a_page(
    make: Any, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = Structure(make(tmp_path_factory.mktemp("page"), name))
    assert page.tags == tags_without_markup(make)
    assert name in page.text
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form", "link", "base"}
    assert not [attribute for _, attributes in page.tags for attribute in attributes if attribute.startswith("on")]
    assert all(link.startswith(("#", "data:image/")) for link in page.links)


@pytest.mark.parametrize("make", [night, evaluation, study])
def test_every_page_forbids_scripts_and_requests(make: Any, tmp_path: Path) -> None:
    page = make(tmp_path, "gate")
    assert Structure(page).policies == [POLICY]
    assert page.index("Content-Security-Policy") < page.index("<style>"), "it holds for what comes after it"
