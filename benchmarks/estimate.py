"""Compares the estimate that is printed before a training with what the training then takes.

python benchmarks/estimate.py --config NAME [--set a.b=c]... [--data-root DIR] --out DIR

`seconds_estimated` and `seconds_taken` are those of flow, pretraining and adversarial training together; `ratio` is the
first by the second. The figures of each part have its name behind them. Everything is trained anew.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import record

from stmae import config as configuration
from stmae.config import Config, ConfigError
from stmae.datasets.flow_cache import extract_flow
from stmae.datasets.manifest import DatasetError, Manifest
from stmae.datasets.prepare import prepare
from stmae.training.adversarial import train_adversarial
from stmae.training.estimate import estimate
from stmae.training.pretrain import pretrain_appearance, pretrain_motion


def compare(config: Config, manifest: Manifest, out: Path) -> dict[str, float]:
    """Returns the estimated and the real seconds of training below `out`."""
    began = time.perf_counter()
    expected = estimate(config, manifest, out / "flow")
    probe = time.perf_counter() - began
    print(expected)
    appearance, motion, flow = out / "appearance", out / "motion", out / "flow"
    taken = {
        "flow": _seconds(lambda: extract_flow(config, manifest, flow)),
        "pretraining": _seconds(lambda: pretrain_appearance(config, manifest, appearance))
        + _seconds(lambda: pretrain_motion(config, manifest, flow, motion)),
        "adversarial": _seconds(lambda: train_adversarial(config, manifest, flow, appearance, motion, out / "model")),
    }
    estimated = {name: float(getattr(expected, name)) for name in taken}
    whole = sum(taken.values())
    figures = {"seconds_probe": probe, "seconds_estimated": expected.seconds, "seconds_taken": whole}
    figures |= {f"seconds_estimated_{name}": value for name, value in estimated.items()}
    figures |= {f"seconds_taken_{name}": value for name, value in taken.items()}
    return {name: round(value, 2) for name, value in figures.items()} | {"ratio": round(expected.seconds / whole, 3)}


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> int:
    """Returns 0, or 2 where the configuration or the footage cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="walkway", help="default: walkway")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a value")
    parser.add_argument("--data-root", type=Path, help="folder with the footage; synthetic footage needs none")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            config = configuration.load(arguments.config, arguments.set)
            manifest = prepare(config, arguments.data_root or Path(folder) / "films", Path(folder) / "dataset")
        except (ConfigError, DatasetError) as error:
            print(error, file=sys.stderr)
            return 2
        figures: dict[str, Any] = {"config": config.name, "steps": config.train.steps}
        figures |= compare(config, manifest, Path(folder))
    print(record(f"estimate-{config.name}", shlex.join(["python", *sys.argv]), figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
