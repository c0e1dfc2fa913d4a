"""Writes results files: figures, with the command, commit, machine and versions that gave them.

python benchmarks/record.py demo LINE.json --out DIR --command "make demo"
python benchmarks/record.py pipeline SUMMARY.json --out DIR --command "make pipeline-run DATASET=ped2-cpu"
python benchmarks/record.py faults FAULTS.json --out DIR --command "make test-faults"

`demo` takes the JSON line that `stmae demo` prints, `pipeline` the `summary.json` of a pipeline run, `faults` what
pytest's `--faults-out` writes: its figures are named after the faults. Figures of a study are lists with one entry a
seed. The file of the study `seeds` is named after the configuration, the file of `scenes` after the study, and those of
other studies after the study and the dataset.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stmae.evaluation import ROWS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "onnxruntime", "numpy", "opencv-python-headless", "kfp", "pyarrow", "tritonclient")
AUCS = ("auc_micro_raw", "auc_micro_per_video", "auc_macro")
SHORT_NAMES = {
    "combined_auc_micro_raw": "combined_auc_micro",
    "flow_magnitude_auc_micro_raw": "baseline_auc_micro",
    "single_combined_auc_micro_raw": "single_auc_micro",
    "pools_combined_auc_micro_raw": "pools_auc_micro",
}
"""Figures of studies that are recorded under a short name too."""
PIPELINE_FIGURES = (
    *(f"{score}_{auc}" for score in ROWS for auc in AUCS),
    *("combined_eer", "pixel_auc", "overlap_auc", "frames"),
)
COUNTS = {"clips", "events", "frames", "pairs", "steps", "tiles", "videos"}
"""Last words of the figures that count something. kfp hands every number on as a float."""
CODE = ("stmae", "components", "pipelines")
"""Folders that figures depend on."""


def record(
    name: str, command: str, figures: dict[str, Any], out: Path, measured_in: dict[str, Any] | None = None
) -> Path:
    """Writes `<out>/<name>.json` and returns its path.

    `measured_in` is what `environment()` returned on the machine that measured; by default that is this machine.
    Figures whose name ends with a word of COUNTS are written as integers.
    """
    result = {
        "name": name,
        "command": command,
        "commit": commit(),
        **(measured_in or environment()),
        "figures": {key: _integers(value) if _counts(key) else value for key, value in figures.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path


def environment() -> dict[str, Any]:
    """Returns when and where a measurement is made: the fields `when`, `machine` and `versions` of a results file."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES},
    }


def machine() -> dict[str, Any]:
    """Returns what a reader needs to know of this machine to judge a speed."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": _gpu(),
    }


def code_digest() -> str:
    """Returns the SHA-256 (hex) of the library's code, configurations and weights, wherever they lie."""
    package, digest = ROOT / "stmae", hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".toml", ".safetensors")):
        digest.update(f"{path.relative_to(package)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _counts(key: str) -> bool:
    return key.rpartition("_")[2] in COUNTS


def _integers(value: Any) -> Any:
    if isinstance(value, list):
        return [_integers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """Returns the commit, with `-dirty` behind it where the code differs from it; None outside a repository."""
    head = _git("rev-parse", "HEAD")
    return f"{head}-dirty" if head and _git("status", "--porcelain", "--untracked-files=no", *CODE) else head


def _git(*arguments: str) -> str | None:
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() or None


def psnr_by_tenth(evaluation: Path) -> list[float]:
    """Returns the learning curve of an evaluation: mean PSNR (dB) on the calibration split after each tenth."""
    curve = json.loads(evaluation.read_text(encoding="utf-8"))["curve"]
    return [row["calibration"]["psnr"] for row in curve]


def _record_study(source: dict[str, Any], command: str, out: Path) -> None:
    study, config, figures = source["study"], source["config"], source["figures"]
    name = {"seeds": config, "scenes": "scenes"}.get(study, f"{study}-{source['reader']}")
    if study == "seeds":
        figures["calibration_psnr_by_tenth"] = [psnr_by_tenth(Path(one["evaluation"])) for one in source["variants"]]
    short = {SHORT_NAMES[key]: values for key, values in figures.items() if key in SHORT_NAMES}
    record(name, command, {"seed": source["seeds"], **figures, **short, "seconds": source["seconds"]}, out)


def _record_training(source: dict[str, Any], command: str, out: Path) -> None:
    figures = {key: source["figures"][key] for key in PIPELINE_FIGURES if key in source["figures"]}
    figures |= {f"seconds_{step.replace('-', '_')}": value for step, value in source["seconds_by_step"].items()}
    record(source["config"], command, figures, out)
    shutil.copyfile(source["evaluation"], out / f"{source['config']}-evaluation.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("demo", "pipeline", "faults"))
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--command", required=True)
    arguments = parser.parse_args()
    source = json.loads(arguments.source.read_text(encoding="utf-8"))
    if arguments.kind == "demo":
        paths = ("tables", "evaluation_report", "night_reports")
        figures = {key: value for key, value in source.items() if key not in paths}
        record("demo", arguments.command, figures, arguments.out)
    elif arguments.kind == "faults":
        figures = {"tried": source["tried"], "survived": source["survived"], **source["faults"]}
        record("faults", arguments.command, figures, arguments.out)
    elif "study" in source:
        _record_study(source, arguments.command, arguments.out)
    else:
        _record_training(source, arguments.command, arguments.out)


if __name__ == "__main__":
    main()
