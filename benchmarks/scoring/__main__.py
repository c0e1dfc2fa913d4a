"""Measures the score.

python -m benchmarks.scoring train [SET...] --data-root DIR   trains what is missing, and keeps raw scores
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from benchmarks.scoring.sets import FRESH, SETS, trained
from stmae.evaluation.evaluate import fit_scene


def train(names: list[str], data_root: Path, work: Path) -> None:
    """Trains the models of sets, and keeps the raw scores of all clips that are ever scored."""
    for one in [one for one in (*SETS, *FRESH) if not names or one.name in names]:
        for seed in one.seeds:
            began = time.monotonic()
            measure = trained(one, seed, data_root, work)
            for scene in measure.manifest.scenes:
                fit_scene(measure, scene, measure.config.score)
            for clip in measure.manifest.split("test"):
                measure(clip)
            print(f"{one.name} seed {seed}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train",))
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--data-root", type=Path, required=True, help="folder with ped2/ and coffee-room/")
    parser.add_argument("--work", type=Path, default=Path("work/scoring"))
    arguments = parser.parse_args()
    logging.getLogger("stmae").setLevel(logging.WARNING)
    train(arguments.sets, arguments.data_root, arguments.work)


if __name__ == "__main__":
    main()
