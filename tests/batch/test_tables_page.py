"""The examples of docs/tables.md run as they stand; that of Spark runs in tests/spark."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from made_days import DAY, OTHER, put_hour
from nights import Night

from stmae import tables
from stmae.batch.compaction import compact
from stmae.storage import open_store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    if "import SparkSession" not in block
]


@pytest.mark.parametrize("compacted", [False, True])
def test_the_examples_run(
    scored: Path, night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str], compacted: bool
) -> None:
    root = shutil.copytree(scored, tmp_path / "tables")
    if compacted:
        compact(open_store(str(root)), "2026-03-03")
    names = {"TABLES": str(root), "CALIBRATION": str(night.fitted / "calibration.json")}
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        exec(block, names)
    assert "gate" in capsys.readouterr().out


def test_duckdb_keeps_names_as_text_and_reads_no_write_that_was_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(str(tmp_path))
    for day, key in ((DAY, "08"), (DAY, "09"), (OTHER, "08")):
        put_hour(store, day, key)
    compact(store, OTHER.date)
    store.put(f"{DAY.folder('events')}.writing-10.parquet", b"PAR1")
    (block,) = [block for block in BLOCKS if "import duckdb" in block]
    names = {"TABLES": str(tmp_path)}
    exec(block, names)
    shown = sorted((row[0], row[1]) for row in names["rarest"].fetchall())
    assert shown == sorted([(OTHER.camera, OTHER.date), *[(DAY.camera, DAY.date)] * 2])
    assert DAY.camera in capsys.readouterr().out


def test_every_column_and_status_is_explained() -> None:
    text = PAGE.read_text()
    for name, schema in tables.SCHEMAS.items():
        assert f"`{name}`" in text
        for column in schema.names:
            assert f"`{column}`" in text, f"{name}.{column}"
    for status in tables.STATUSES:
        assert f"| `{status}` |" in text
