"""Measures the nightly job. What is measured of it before, at other commits, stays in batch-scale.json.

python -m benchmarks.batch plan                   what planning a million recordings costs
python -m benchmarks.batch night                  a night of 100 cameras: killed, resumed, run again
python -m benchmarks.batch ratio --data-root DIR  a real hour, beside the served ensemble alone
python -m benchmarks.batch hours --data-root DIR  what six real hours weigh; the speed of the machine does not matter
python -m benchmarks.batch ray --data-root DIR    24 real files of ten minutes, beside the local engine
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from benchmarks.batch.night import night
from benchmarks.batch.plan import plan
from benchmarks.batch.speed import hours, on_ray, ratio
from benchmarks.record import commit, record

NAME = "batch-scale"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=("plan", "night", "ratio", "hours", "ray"))
    parser.add_argument("--data-root", type=Path, help="folder with upcam-sample")
    parser.add_argument("--work", type=Path, default=Path("work/scoring"))
    parser.add_argument("--out", type=Path, default=Path("work/results"))
    arguments = parser.parse_args()
    real = {"ratio": ratio, "hours": hours, "ray": on_ray}
    if arguments.data_root is None and (needs := sorted(real.keys() & set(arguments.parts))):
        parser.error(f"{', '.join(needs)}: needs --data-root")
    logging.getLogger("stmae").setLevel(logging.ERROR)
    path = arguments.out / f"{NAME}.json"
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else {}
    for part in arguments.parts:
        if part in real:
            found = real[part](arguments.data_root, arguments.work)
        else:
            found = {"plan": plan, "night": night}[part]()
        print(found, flush=True)
        figures |= found | {f"{part}_commit": commit()}
    command = " ".join(["python -m benchmarks.batch", *arguments.parts, "--data-root DIR"])
    print(record(NAME, command, figures, arguments.out))


if __name__ == "__main__":
    main()
