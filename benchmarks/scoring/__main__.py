"""Measures the score. Models are trained where they are missing, which takes hours on two cores.

python -m benchmarks.scoring detectors --data-root DIR [SET...]   each detector on each set -> detectors.json; where
    sets are named, figures of the other sets stay as the file below --out has them
python -m benchmarks.scoring features --data-root DIR [SET...]    features of moving tiles compared -> features.json
python -m benchmarks.scoring evidence --data-root DIR [SET...]    what else prediction could read -> evidence.json
python -m benchmarks.scoring ablation --data-root DIR             what each constant is worth -> score-ablation.json
python -m benchmarks.scoring stillness --data-root DIR [SET...]   what leaving out still frames saves -> stillness.json
python -m benchmarks.scoring precision --data-root DIR            what a precision changes -> precision-ped2.json
python -m benchmarks.scoring return-period --data-root DIR        are return periods honest -> return-period.json
python -m benchmarks.scoring tables --data-root DIR [SET...]      bytes of a frame in the tables -> tables.json
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

from benchmarks.record import record
from benchmarks.scoring import ablation, detectors, evidence, features, precision, sizes, stillness, upcam
from benchmarks.scoring.sets import SETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ("detectors", "features", "evidence", "stillness", "ablation", "precision", "return-period", "tables")
    parser.add_argument("command", choices=commands)
    parser.add_argument("sets", nargs="*", help="measure on these sets alone")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="of detectors, where time is short; default: each set's own"
    )
    parser.add_argument("--data-root", type=Path, required=True, help="folder with ped2, coffee-room and upcam-sample")
    parser.add_argument("--work", type=Path, default=Path("work/scoring"))
    parser.add_argument("--out", type=Path, default=Path("work/results"))
    arguments = parser.parse_intermixed_args()
    known = {
        "detectors": [one.name for one in SETS],
        "features": [one.name for one in features.SETS],
        "evidence": [one.name for one in evidence.SETS],
        "stillness": [one.name for one in stillness.SETS],
        "tables": [*sizes.WEIGHED],
    }.get(arguments.command, [])
    if set(arguments.sets) - set(known):
        parser.error(f"{arguments.command}: sets are some of {', '.join(known) or 'none'}")
    logging.getLogger("stmae").setLevel(logging.WARNING)
    began = time.monotonic()
    if arguments.command == "return-period":
        name, figures = "return-period", upcam.return_period(upcam.upcam(arguments.data_root, arguments.work))
    elif arguments.command == "precision":
        name, figures = "precision-ped2", precision.precisions(arguments.data_root, arguments.work)
    elif arguments.command == "tables":
        name, figures = "tables", sizes.sizes(arguments.data_root, arguments.work, arguments.sets)
    elif arguments.command == "features":
        name, figures = "features", features.features(arguments.data_root, arguments.work, arguments.sets)
    elif arguments.command == "evidence":
        name, figures = "evidence", evidence.evidence(arguments.data_root, arguments.work, arguments.sets)
    elif arguments.command == "stillness":
        name, figures = "stillness", stillness.stillness(arguments.data_root, arguments.work, arguments.sets)
    elif arguments.command == "ablation":
        name, figures = "score-ablation", ablation.ablation(arguments.data_root, arguments.work)
    else:
        name, figures = (
            "detectors",
            detectors.detectors(arguments.data_root, arguments.work, arguments.sets, arguments.seeds),
        )
    if arguments.sets:
        figures = _kept(arguments.out / f"{name}.json") | figures
    print(f"{arguments.command}: {time.monotonic() - began:.0f} s")
    options = ["--data-root DIR", *(["--seeds", *map(str, arguments.seeds)] if arguments.seeds else [])]
    command = " ".join(["python -m benchmarks.scoring", arguments.command, *arguments.sets, *options])
    print(record(name, command, figures, arguments.out))


def _kept(path: Path) -> dict[str, Any]:
    """Returns the figures of a results file, each set with the commit that it was measured at."""
    if not path.exists():
        return {}
    result = json.loads(path.read_text(encoding="utf-8"))
    sets = [key.removesuffix("_seed") for key in result["figures"] if key.endswith("_seed")]
    return {f"{name}_commit": result["commit"] for name in sets} | result["figures"]


if __name__ == "__main__":
    main()
