"""docs/architecture.md: its rooms are those of the import contracts, and the path of a frame exists."""

from __future__ import annotations

import pkgutil
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_rooms_and_their_order_are_those_of_the_import_contract() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    rows = re.findall(r"^\| ((?:`[a-z]+`(?:, )?)+) \|", PAGE, re.M)
    assert [re.findall(r"[a-z]+", row) for row in rows] == [re.findall(r"[a-z]+", layer) for layer in layers]


def test_the_path_of_a_frame_has_at_most_eight_files_that_hold_what_the_page_says() -> None:
    path = re.findall(r"^\| \d \| `stmae/([\w/]+)\.py` \| (.*) \|$", PAGE, re.M)
    assert 0 < len(path) <= 8
    for file, text in path:
        for name in re.findall(r"`([\w.]+)`", text):
            pkgutil.resolve_name(f"stmae.{file.replace('/', '.')}:{name}")


def test_each_file_of_the_nightly_job_is_named() -> None:
    told = re.findall(r"`([a-z_]+)\.py`", PAGE.partition("## The nightly job")[2].partition("\n## ")[0])
    assert sorted(told) == sorted(path.stem for path in (ROOT / "stmae/batch").glob("[a-z]*.py"))


def test_each_file_of_the_models_store_is_named() -> None:
    told = re.findall(r"`([a-z_]+)\.py`", PAGE.partition("## Models between")[2].partition("\n## ")[0])
    assert sorted(told) == sorted(path.stem for path in (ROOT / "stmae/serving/models").glob("[a-z]*.py"))
