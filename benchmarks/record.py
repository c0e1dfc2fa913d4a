"""Write a results file: figures, with the command, commit, versions and machine that gave them.

python benchmarks/record.py demo LINE.json --out DIR --command "make demo"
python benchmarks/record.py pipeline SUMMARY.json --out DIR --command "make pipeline-run DATASET=ped2-cpu"

The summary of a study gives lists, an entry a seed: that of `seeds` under the configuration's name, the others under
the study's and the dataset's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "onnxruntime", "numpy", "opencv-python-headless", "kfp", "pyarrow", "tritonclient")
AUCS = ("auc_micro_raw", "auc_micro_per_video", "auc_macro")
SHORT = {
    "combined_auc_micro_raw": "combined_auc_micro",
    "baseline_auc_micro_raw": "baseline_auc_micro",
    "single_combined_auc_micro_raw": "single_auc_micro",
    "pools_combined_auc_micro_raw": "pools_auc_micro",
}
"""Figures of studies that have a short name too."""
PIPELINE_FIGURES = (
    *(f"{score}_{auc}" for score in ("combined", "baseline") for auc in AUCS),
    *("paper_auc_micro_raw", "paper_auc_micro", "paper_auc_macro"),
    *("combined_eer", "pixel_auc", "overlap_auc", "frames"),
)
CODE = ("stmae", "components", "pipelines")
"""What figures depend on."""


def record(name: str, command: str, figures: dict[str, Any], out: Path) -> Path:
    """Write `<out>/<name>.json` and return it."""
    result = {
        "name": name,
        "command": command,
        "commit": _commit(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES},
        "figures": figures,
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    """What a reader needs to know to judge a speed."""
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


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """`-dirty` where a file that is in it differs."""
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git("status", "--porcelain", "--untracked-files=no", *CODE) else commit


def _git(*arguments: str) -> str | None:
    run = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return run.stdout.strip() or None


def _heldout(variant: dict[str, Any]) -> list[float]:
    """Mean PSNR of the model on held-out clips after each epoch: the learning curve."""
    curve = json.loads(Path(variant["evaluation"]).read_text(encoding="utf-8"))["curve"]
    return [row["calibration"]["psnr"] for row in curve]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("demo", "pipeline"))
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--command", required=True)
    arguments = parser.parse_args()
    source = json.loads(arguments.source.read_text(encoding="utf-8"))
    if arguments.kind == "demo":
        places = ("tables", "evaluation_report", "night_reports")
        figures = {key: value for key, value in source.items() if key not in places}
        record("demo", arguments.command, figures, arguments.out)
        return
    if "study" in source:
        name = source["config"] if source["study"] == "seeds" else f"{source['study']}-{source['reader']}"
        name = "scenes" if source["study"] == "scenes" else name
        if source["study"] == "seeds":
            source["figures"]["heldout_psnr_by_epoch"] = [_heldout(variant) for variant in source["variants"]]
        short = {SHORT[key]: values for key, values in source["figures"].items() if key in SHORT}
        figures = {"seed": source["seeds"], **source["figures"], **short, "seconds": source["seconds"]}
        record(name, arguments.command, figures, arguments.out)
        return
    figures = {key: source["figures"][key] for key in PIPELINE_FIGURES if key in source["figures"]}
    figures |= {f"seconds_{step.replace('-', '_')}": value for step, value in source["seconds_by_step"].items()}
    record(source["config"], arguments.command, figures, arguments.out)
    shutil.copyfile(source["evaluation"], arguments.out / f"{source['config']}-evaluation.json")


if __name__ == "__main__":
    main()
