"""What a user asks for on the command line: a configuration, or a study of it."""

import dataclasses
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class RequestError(ValueError):
    """Raised for a configuration, study or seeds that cannot be used. `stmae` has said on stderr what is wrong."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    config: str
    """Name of a shipped configuration, or path of a .toml file."""
    overrides: tuple[str, ...] = ()
    """Values of the configuration, each as a.b=c."""
    study: str = ""
    """Name of a study; empty for the training of one model."""
    seeds: str = ""
    resolved: dict[str, Any]
    """The configuration as `stmae config` prints it."""
    variants: list[dict[str, Any]]
    """Seeds of the study, each with its `variants`; none without a study."""

    @classmethod
    def of(cls, config: str, overrides: Sequence[str] = (), study: str = "", seeds: str = "") -> "Request":
        """Checks what is asked for before anything is submitted or run. Raises RequestError."""
        resolved = json.loads(_stmae("config", config, overrides))
        listed = _stmae("config", config, overrides, "--study", study, "--seeds", seeds) if study else "[]"
        return cls(
            config=config,
            overrides=tuple(overrides),
            study=study,
            seeds=seeds,
            resolved=resolved,
            variants=json.loads(listed),
        )

    @property
    def name(self) -> str:
        """Returns the name of the configuration."""
        return str(self.resolved["name"])

    @property
    def parameters(self) -> dict[str, str]:
        """Returns the pipeline parameters that say the same. A file of one's own travels as its text."""
        own = self.config.endswith(".toml")
        given = {
            "dataset": self.name if own else self.config,
            "config_toml": Path(self.config).read_text(encoding="utf-8") if own else "",
            "overrides": shlex.join(self.overrides),
            "study": self.study,
            "seeds": self.seeds if self.study else "",
        }
        return {key: value for key, value in given.items() if value}

    def data_root(self, workspace: Path) -> str:
        """Returns the folder where a local run looks for the footage by default. Raises RequestError."""
        return _stmae("data-root", self.config, self.overrides, "--workspace", str(workspace))


def _stmae(verb: str, config: str, overrides: Sequence[str], *options: str) -> str:
    """Returns what `stmae VERB` prints of a configuration.

    Pipelines know the library only through its command: a submitting machine and CI need no more.
    """
    changed = [part for value in overrides for part in ("--set", value)]
    command = [sys.executable, "-m", "stmae", verb, config, *changed, *options]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        raise RequestError(answer.returncode)
    return answer.stdout.strip()
