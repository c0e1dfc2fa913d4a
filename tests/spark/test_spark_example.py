"""The Spark example of docs/tables.md runs as it stands, in the environment .spark: `make test-spark`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from made_days import DAY, OTHER, put_hour

from stmae.batch.compaction import compact
from stmae.storage import open_store

ROOT = Path(__file__).resolve().parents[2]
SHOWN = """
rows = events.groupBy("camera", "date").count().collect()
print("SEEN", sorted((row["camera"], row["date"], row["count"]) for row in rows))
"""


def test_spark_reads_merged_days_and_names_as_text(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for day, key in ((DAY, "08"), (DAY, "09"), (OTHER, "08")):
        put_hour(store, day, key)
    compact(store, OTHER.date)
    store.put(f"{DAY.folder('events')}.writing-10.parquet", b"PAR1")
    page = (ROOT / "docs" / "tables.md").read_text()
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import SparkSession" in each]
    code = f"TABLES = {str(tmp_path)!r}\n{block}{SHOWN}"
    run = subprocess.run([ROOT / ".spark/bin/python", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "return_period_hours" in run.stdout
    assert f"SEEN {[(OTHER.camera, OTHER.date, 1), (DAY.camera, DAY.date, 2)]}" in run.stdout
