"""The container builder of this machine: docker, buildah or podman, whichever is present and works."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# A client without an engine answers `--version`; these need what a build needs.
_PROBES = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "buildah": ("images", "--quiet"),
    "podman": ("images", "--quiet"),
}


class BuilderError(RuntimeError):
    """No builder works, or one failed; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Builder:
    """A program that builds and pushes images."""

    program: str

    def build(
        self, dockerfile: Path, context: Path, tag: str, arguments: Mapping[str, str], options: Sequence[str]
    ) -> None:
        """Builds an image; the program's output goes to this process's. Raises BuilderError."""
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command = [self.program, "build", f"--file={dockerfile}", f"--tag={tag}", *given, *options, str(context)]
        if (status := subprocess.run(command, check=False).returncode) != 0:
            raise BuilderError(f"{dockerfile.name}: {self.program} ended with status {status}; its output says why")

    def push(self, tag: str) -> str:
        """Pushes an image and returns the digest that the registry has it under. Raises BuilderError."""
        if self.program == "docker":
            self._run("push", "--quiet", tag)
            found = json.loads(self._run("image", "inspect", "--format", "{{json .RepoDigests}}", tag))
            name = tag.rpartition(":")[0]
            return next(each.partition("@")[2] for each in found if each.partition("@")[0] == name)
        with tempfile.TemporaryDirectory() as folder:
            digest = Path(folder) / "digest"
            self._run("push", "--quiet", f"--digestfile={digest}", tag, f"docker://{tag}")
            return digest.read_text(encoding="utf-8").strip()

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuilderError(f"{self.program} {' '.join(arguments)}: {done.stderr.strip()[-1000:]}")
        return done.stdout


def find() -> Builder:
    """Returns the first builder that works. Raises BuilderError where none does, with the reason of each."""
    reasons = []
    for program, probe in _PROBES.items():
        if shutil.which(program) is None:
            reasons.append(f"{program}: not installed")
            continue
        done = subprocess.run([program, *probe], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Builder(program)
        reasons.append(f"{program}: {(done.stderr or done.stdout).strip()[-300:]}")
    raise BuilderError("no container builder works here; install one of them\n  " + "\n  ".join(reasons))
