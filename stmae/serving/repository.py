"""The Triton model repository: what is in one, and writing a deployment's models into one.

`python -m stmae.serving.repository DIRECTORY CONFIG...` writes config.pbtxt texts alone, as they are committed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from stmae import config as configs
from stmae.serving import tensors
from stmae.serving.pbtxt import EMBEDDED, Accelerator, Precision, Release, texts

PLACEHOLDER = ".keep"
"""Keeps an ensemble's version directory, which Triton requires, where empty ones are lost (git, object stores)."""


class RepositoryError(ValueError):
    """A repository or an export that cannot be used; the message names the file, what is wrong and the mend."""


def write_configs(
    repository: Path, release: Release, accelerator: Accelerator = "cpu", precision: Precision = "fp32"
) -> None:
    """Writes the texts of a deployment, and the ensemble's version directory with its placeholder."""
    for name, text in texts(release, accelerator, precision).items():
        folder = repository / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    version = repository / release.deployment / "1"
    version.mkdir(exist_ok=True)
    (version / PLACEHOLDER).touch()


def write_repository(
    export_dir: Path, repository: Path, accelerator: Accelerator = EMBEDDED, precision: Precision = "fp32"
) -> Release:
    """Writes a deployment's five models, weights included.

    Nothing here is gated or atomic: it is for a folder that nobody serves yet. The way into one that is served leads
    through a models store. Raises RepositoryError if the export is not finished.
    """
    manifest = load_manifest(export_dir)
    config = configs.from_json(json.dumps(manifest["config"]))
    release = Release.of(config, str(manifest["digest"]))
    write_configs(repository, release, accelerator, precision)
    for spec in tensors.STEPS:
        version = repository / spec.served_name(release.deployment) / "1"
        version.mkdir(exist_ok=True)
        shutil.copyfile(export_dir / f"{spec.file}.onnx", version / "model.onnx")
    return release


def load_manifest(export_dir: Path) -> dict[str, object]:
    """Returns the content of an export's export.json. Raises RepositoryError if it is missing or broken."""
    path = export_dir / "export.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RepositoryError(f"{path}: not a finished export ({error}); run the export step again") from None
    assert isinstance(manifest, dict)
    return manifest


def check_export(export_dir: Path) -> None:
    """Raises RepositoryError if files changed since export.json was written: its digest would name other weights."""
    files = load_manifest(export_dir)["files"]
    assert isinstance(files, dict)
    for spec in tensors.STEPS:
        path = export_dir / f"{spec.file}.onnx"
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != files.get(spec.file):
            raise RepositoryError(f"{path}: missing, or changed since it was exported; export the model again")


def find_deployments(repository: Path) -> list[str]:
    """Returns the names of the deployments (ensembles) in a repository, sorted."""
    found = sorted(repository.glob("*/config.pbtxt"))
    return [path.parent.name for path in found if 'platform: "ensemble"' in path.read_text(encoding="utf-8")]


def check_servable(repository: Path) -> list[str]:
    """Returns the deployments of a repository that a server can load.

    Raises RepositoryError for a folder without models, and for a model without weights, as in the repository that is
    committed. Triton would end with a longer message.
    """
    deployments = find_deployments(repository)
    models = sorted({path.parent for path in repository.glob("*/config.pbtxt")})
    if not models:
        raise RepositoryError(
            f"{repository}: holds no model (no */config.pbtxt); run `make model-repository`, or the training pipeline"
        )
    for folder in models:
        if folder.name not in deployments and not any(folder.glob("*/model.onnx")):
            raise RepositoryError(
                f"{folder}/*/model.onnx: no such file, this repository has no weights; run `make model-repository`, "
                "or the training pipeline, and serve the repository that it names"
            )
    return deployments


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print("usage: python -m stmae.serving.repository DIRECTORY CONFIG...", file=sys.stderr)
        return 2
    for name in arguments[1:]:
        write_configs(Path(arguments[0]), Release.of(configs.load(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
