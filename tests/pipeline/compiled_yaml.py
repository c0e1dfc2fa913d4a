"""Compiled pipelines: writing them as a user does, and finding one's way in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "compiled"
IMAGES = GOLDEN / "images.yaml"
IMAGE = f"registry.example/stmae-train@sha256:{64 * '0'}"


def compile_to(out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Compiles with the committed site file, and the image of the golden files."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("STMAE_")}
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "compile", "--out", str(out)],
        cwd=ROOT,
        env={**inherited, "STMAE_IMAGES": str(IMAGES), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class Compiled:
    """One of the compiled pipelines."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.stem
        self.pipeline, self.document = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        executors = self.pipeline["deploymentSpec"]["executors"]
        self.containers = {name.removeprefix("exec-"): executor["container"] for name, executor in executors.items()}
        executors = self.document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        self.platform = {name.removeprefix("exec-"): executor for name, executor in executors.items()}
        dags = [part["dag"] for part in (self.pipeline["root"], *self.pipeline["components"].values()) if "dag" in part]
        self.tasks: dict[str, Any] = {}
        """By the name of what they run: groups, loops, pipelines within and steps."""
        for dag in dags:
            self.tasks |= {task["componentRef"]["name"].removeprefix("comp-"): task for task in dag["tasks"].values()}

    def component(self, step: str) -> dict[str, Any]:
        component: dict[str, Any] = self.pipeline["components"][f"comp-{step}"]
        return component

    def environment(self, step: str) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.containers[step]["env"]}

    def cached(self) -> set[str]:
        return {name for name in self.containers if self.tasks[name]["cachingOptions"].get("enableCache")}

    def cache_key(self, step: str, parameters: dict[str, Any]) -> str:
        """Returns what Kubeflow's cache compares for a step that is run with parameters.

        That is the image, the command, the declared parameters with their values, the names, and not the content, of
        input artifacts, the claims, the environment and the declared outputs.
        """
        component, container = self.component(step), self.containers[step]
        declared = component.get("inputDefinitions", {})
        return json.dumps(
            {
                "image": container["image"],
                "command": [*container["command"], *container["args"]],
                "parameters": {name: parameters.get(name) for name in sorted(declared.get("parameters", {}))},
                "artifacts": sorted(declared.get("artifacts", {})),
                "claims": self.platform[step].get("pvcMount", []),
                "environment": container["env"],
                "outputs": component["outputDefinitions"],
            },
            sort_keys=True,
        )


if __name__ == "__main__":
    print(compile_to(GOLDEN).stdout, end="")
