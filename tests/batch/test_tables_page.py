"""The examples of docs/tables.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nights import Night

from stmae import tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_the_examples_run(scored: Path, night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"TABLES": str(scored), "CALIBRATION": str(night.fitted / "calibration.json")}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, names)
    assert "gate" in capsys.readouterr().out


def test_every_column_and_status_is_explained() -> None:
    text = PAGE.read_text()
    for name, schema in tables.SCHEMAS.items():
        assert f"`{name}`" in text
        for column in schema.names:
            assert f"`{column}`" in text, f"{name}.{column}"
    for status in tables.STATUSES:
        assert f"| `{status}` |" in text
