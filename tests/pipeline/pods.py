"""Steps of the compiled YAML, run as a pod runs them.

A step has the image's packages only, no capability, a user number without a name, and a root file system of its own
that is read-only but for the volumes. The launcher's part is played here: it fills in the executor input.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compiled_yaml import ROOT, Compiled
from packaging.requirements import Requirement

USER = 65532
VOLUMES = ("tmp", "minio", "models", "data")
RUN = "minio://mlpipeline/v2/artifacts/stmae-train/run-1"
OUTPUT = "/tmp/kfp_outputs/output_metadata.json"
ENTER = r"""
root=$1 volumes=$2 image=$3 shared=$4 user=$5; shift 5
mount -t tmpfs -o mode=755 pod "$root"
for link in /bin /sbin /lib /lib64; do [ ! -L $link ] || cp -P $link "$root$link"; done
for name in tmp minio models data; do
  mkdir "$root/$name"
  mount --bind "$volumes/$name" "$root/$name"
done
# The checkout may lie in /tmp, which is a volume.
for path in /proc /dev $shared; do
  mkdir -p "$root$path"
  mount --rbind "$path" "$root$path"
done
mkdir "$root/image"
mount --bind "$image" "$root/image"
for path in $shared /image; do mount -o remount,bind,ro "$root$path"; done
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid $user --regid $user --clear-groups --no-new-privs --bounding-set=-all \
  --inh-caps=-all env -i "$@"
"""


def image_packages(folder: Path, *requirements: str) -> Path:
    """Makes an environment in which nothing but these distributions and what they need can be imported.

    They are links to those of this environment; `stmae` is that of this checkout.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for name in sorted(_needed(requirements)):
        for file in importlib.metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    (packages / "stmae").symlink_to(ROOT / "stmae")
    return folder


def _needed(requirements: tuple[str, ...]) -> set[str]:
    """Returns the distributions that requirements need, without `stmae`."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            if (wanted.name.lower(), extra) not in found:
                found.add((wanted.name.lower(), extra))
                waiting += _direct(wanted.name, extra)
    return {name for name, _ in found} - {"stmae"}


def _direct(name: str, extra: str) -> Iterator[Requirement]:
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


@dataclasses.dataclass(frozen=True)
class Pod:
    """A place to run steps in: an environment, and a folder for each volume."""

    folder: Path
    image: Path
    compiled: Compiled

    def __post_init__(self) -> None:
        for name in (*VOLUMES, "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / name).chmod(0o777)

    def path(self, uri: str) -> Path:
        """Returns where an artifact or a path of the pod is on this machine."""
        return self.folder / uri.replace("minio://", "/minio/").lstrip("/")

    def output(self) -> dict[str, Any]:
        """Returns what the last step told the launcher."""
        loaded: dict[str, Any] = json.loads(self.path(OUTPUT).read_text(encoding="utf-8"))
        return loaded

    def start(self, step: str, parameters: dict[str, Any], inputs: dict[str, str]) -> subprocess.Popen[str]:
        """Starts a step; `inputs` are the URIs of artifacts that were put there before."""
        container = self.compiled.containers[step]
        text = json.dumps(self._executor_input(step, parameters, inputs))
        command = [*container["command"], *(part.replace("{{$}}", text) for part in container["args"])]
        variables = self.compiled.environment(step) | {
            "PATH": "/image/bin:/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
        }
        shared = _outermost(Path("/usr"), Path("/etc"), Path(sys.base_prefix), Path(sys.prefix).resolve(), ROOT)
        return subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER, "pod"),
                *(str(self.folder / "root"), str(self.folder), str(self.image), " ".join(map(str, shared)), str(USER)),
                *(f"{name}={value}" for name, value in variables.items()),
                *command,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, step: str, parameters: dict[str, Any], inputs: dict[str, str] | None = None) -> str:
        """Runs a step to its end and returns all that it printed. Raises AssertionError where it fails."""
        with self.start(step, parameters, inputs or {}) as process:
            printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    def _executor_input(self, step: str, parameters: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
        component = self.compiled.component(step)
        declared, outputs = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
        assert parameters.keys() == declared.get("parameters", {}).keys()
        types = declared.get("artifacts", {})
        return {
            "inputs": {
                "parameterValues": parameters,
                "artifacts": {name: _artifact(name, types[name], uri) for name, uri in inputs.items()},
            },
            "outputs": {
                "parameters": {name: {"outputFile": f"/tmp/kfp/{name}"} for name in outputs.get("parameters", {})},
                "artifacts": {
                    name: _artifact(name, definition, f"{RUN}/{step}/{name}")
                    for name, definition in outputs.get("artifacts", {}).items()
                },
                "outputFile": OUTPUT,
            },
        }


def _artifact(name: str, definition: dict[str, Any], uri: str) -> dict[str, Any]:
    return {"artifacts": [{"name": name, "type": definition["artifactType"], "uri": uri, "metadata": {}}]}


def _outermost(*paths: Path) -> list[Path]:
    """Returns the paths that lie below none of the others: one that is mounted later would hide them."""
    return [path for path in dict.fromkeys(paths) if not any(other in path.parents for other in paths)]


def as_root() -> bool:
    return os.geteuid() == 0
