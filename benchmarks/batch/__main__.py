"""Measures the nightly job: what planning a million recordings costs, its speed, its engines, and a whole night.

python -m benchmarks.batch --data-root DIR    -> batch-scale.json
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.batch.night import night
from benchmarks.batch.plan import plan
from benchmarks.batch.speed import speed
from benchmarks.record import record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with upcam-sample")
    parser.add_argument("--work", type=Path, default=Path("work/scoring"))
    parser.add_argument("--out", type=Path, default=Path("work/results"))
    arguments = parser.parse_args()
    logging.getLogger("stmae").setLevel(logging.ERROR)
    figures = {}
    for measured in (plan, night, lambda: speed(arguments.data_root, arguments.work)):
        part = measured()
        print(part, flush=True)
        figures |= part
    print(record("batch-scale", "make bench-batch DATA_ROOT=dir", figures, arguments.out))


if __name__ == "__main__":
    main()
