"""Results files from what the machine has measured: accuracy, training and serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.record import code_digest, record


class MeasurementError(ValueError):
    """A measurement that cannot be recorded; the message names the file and the mend."""


def record_all(source: Path, out: Path) -> list[Path]:
    """Writes `<config>-<size>.json`, `training-gpu.json` and `serving-gpu.json`; returns the paths of those it wrote.

    Figures of the seeds are lists with one entry a seed. A figure that was not measured is not in the file, and the
    list `unfinished` says what was cut short, and where. Raises MeasurementError where the file is none, or where the
    library has changed since: the results would name the wrong commit.
    """
    try:
        measured = json.loads(source.read_text(encoding="utf-8"))
        stages, config = measured["stages"], measured["config"]
        measured_in = {key: measured[key] for key in ("when", "machine", "versions")}
    except (OSError, ValueError, KeyError) as error:
        raise MeasurementError(f"{source}: not a measurement ({error!r}); pass the gpu.json of a run") from None
    if measured["code"] != code_digest():
        raise MeasurementError(f"{source}: code: measured with another stmae; check out the commit that was measured")
    files = {
        f"{config['name']}-{config['model']['size']}": _accuracy(stages, config["train"]),
        "training-gpu": _training(stages, config["name"]),
        "serving-gpu": _figures(stages, config["name"], ("serving",)),
    }
    return [record(name, measured["command"], figures, out, measured_in) for name, figures in files.items() if figures]


def _seeds(stages: dict[str, Any]) -> dict[int, Any]:
    return {int(name.removeprefix("seed-")): stage for name, stage in stages.items() if name.startswith("seed-")}


def _accuracy(stages: dict[str, Any], train: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures that all evaluated seeds have; none where no seed was evaluated."""
    evaluated = {seed: one for seed, one in _seeds(stages).items() if one["complete"]}
    if not evaluated:
        return {}
    names = [key for key in next(iter(evaluated.values()))["figures"] if key != "ms_step"]
    figures: dict[str, Any] = {"seed": list(evaluated), "footage": "WebP, quality 90"}
    figures["pretrain_fraction"] = train["pretrain_fraction"]
    figures["steps_configured"] = train["steps"]
    for key in names:
        figures[key] = [one["figures"].get(key) for one in evaluated.values()]
    return figures | _unfinished({name: one for name, one in stages.items() if name.startswith("seed-")})


def _training(stages: dict[str, Any], name: str) -> dict[str, Any]:
    figures = _figures(stages, name, ("prepare", "step"))
    steps = [one["figures"].get("ms_step") for one in _seeds(stages).values()]
    return figures | ({"ms_step_side_by_side": steps} if figures and any(steps) else {})


def _figures(stages: dict[str, Any], config: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Returns the figures of some stages; none where they have none."""
    chosen = {name: stages[name] for name in names if name in stages}
    figures = {key: value for stage in chosen.values() for key, value in stage["figures"].items()}
    return {"config": config, **figures, **_unfinished(chosen)} if figures else {}


def _unfinished(stages: dict[str, Any]) -> dict[str, list[str]]:
    said = [f"{name}: {stage['unfinished']}" for name, stage in stages.items() if stage["unfinished"]]
    return {"unfinished": said} if said else {}
