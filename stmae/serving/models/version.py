"""A published version of a deployment: files under an immutable prefix of the models store, with their digests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stmae import __version__
from stmae.serving import tensors
from stmae.serving.models import signature
from stmae.serving.repository import load_manifest
from stmae.storage import ObjectMissingError, Store

FORMAT = 1
GRAPHS = tuple(f"{spec.file}.onnx" for spec in tensors.STEPS)
FITTED = ("normality.json", "calibration.json")
SERVED = (*GRAPHS, *FITTED, "config.json")
"""The files that decide what a deployment answers. A version is named by their digests."""
RECORDS = ("evaluation.json", "parity.json", "provenance.json")
"""What is known of the version besides."""
MANIFEST = "manifest.json"
VERSION_DIGITS = 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ModelsError(ValueError):
    """The models store holds no such thing, or a damaged one; the message names it and the mend."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A version as its manifest describes it."""

    deployment: str
    version: str
    """The first twelve digits of the SHA-256 over the digests of SERVED."""
    digest: str
    """SHA-256 (hex) of weights and model settings, which tables carry in their path."""
    published: str
    """ISO 8601, UTC."""
    files: Mapping[str, str]
    """SHA-256 (hex) of each file by its name."""
    evaluation: Mapping[str, Any]
    """evaluation.json, as the evaluation wrote it."""
    parity: Mapping[str, Mapping[str, float]]
    """Largest difference between Triton and torch for each output of the ensemble, by each precision that passed."""
    signed: bool

    @property
    def folder(self) -> str:
        """Returns its prefix in the store."""
        return prefix(self.deployment, self.version)


def prefix(deployment: str, version: str = "") -> str:
    """Returns where a version lies in the store, or all versions of a deployment."""
    return f"{deployment}/versions/{version}/" if version else f"{deployment}/versions/"


def check_name(what: str, name: str) -> None:
    """Raises ModelsError for a name that could not be a part of a path."""
    if not _NAME.fullmatch(name):
        raise ModelsError(f"{what} {name!r}: letters, digits and . _ - only, beginning with a letter or digit")


def add(
    models: Store,
    export_dir: Path,
    fitted: Mapping[str, Path],
    records: Mapping[str, Any],
    key: Path | None = None,
) -> Version:
    """Adds a version made of an export and the files fitted to it, and returns it.

    `fitted` has the paths of `normality` and `calibration`, `records` the contents of RECORDS by their names without a
    suffix. With `key`, the PEM file of a private elliptic-curve key, the version is signed. A version that is there
    already is returned as it is. Raises StoreError, RepositoryError for an export that is not finished, and
    SignatureError for a key that is none.
    """
    export = load_manifest(export_dir)
    config: Any = export["config"]
    check_name("deployment", config["name"])
    models.prepare()
    with tempfile.TemporaryDirectory(prefix="stmae-version-") as temporary:
        folder = Path(temporary)
        for name in GRAPHS:
            shutil.copyfile(export_dir / name, folder / name)
        for name in FITTED:
            shutil.copyfile(fitted[Path(name).stem], folder / name)
        _write(folder / "config.json", config)
        name = _name(folder)
        try:
            return load(models, config["name"], name)
        except ModelsError:
            pass  # there is none, or one that was not completed
        made = {"stmae_version": __version__, "digest": export["digest"], "versions": export.get("versions", {})}
        for stem, record in ((Path(name).stem, name) for name in RECORDS):
            _write(folder / record, (made if stem == "provenance" else {}) | dict(records.get(stem, {})))
        files = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
        manifest = {
            "format": FORMAT,
            "deployment": config["name"],
            "version": name,
            "digest": export["digest"],
            "published": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        _write(folder / MANIFEST, manifest)
        if key is not None:
            signature.sign(folder, key)
        # The manifest comes last: a version without it does not exist.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
            models.put(prefix(config["name"], name) + path.name, path.read_bytes())
    return load(models, config["name"], name)


def load(models: Store, deployment: str, version: str) -> Version:
    """Returns a version. Raises ModelsError, which names those there are, and StoreError."""
    folder = prefix(deployment, version)
    try:
        table = json.loads(models.get(folder + MANIFEST))
        evaluation, parity = (json.loads(models.get(folder + name)) for name in ("evaluation.json", "parity.json"))
    except ObjectMissingError:
        there = ", ".join(_names(models, deployment)) or "none"
        raise ModelsError(
            f"{models.uri(folder)}: no version {version!r} of {deployment!r}; there are: {there}"
        ) from None
    except ValueError as error:
        raise ModelsError(f"{models.uri(folder)}: damaged ({error}); publish it again") from None
    if table.get("format") != FORMAT or (table.get("deployment"), table.get("version")) != (deployment, version):
        raise ModelsError(f"{models.uri(folder + MANIFEST)}: is of another version or format; publish it again")
    return Version(
        deployment=deployment,
        version=version,
        digest=table["digest"],
        published=table["published"],
        files=table["files"],
        evaluation=evaluation,
        parity=parity,
        signed=any(item.path == folder + signature.FILE for item in models.list(folder)),
    )


def versions(models: Store, deployment: str) -> list[Version]:
    """Returns the versions of a deployment, the newest first. Raises StoreError."""
    found = [load(models, deployment, name) for name in _names(models, deployment)]
    return sorted(found, key=lambda each: (each.published, each.version), reverse=True)


def fetch(models: Store, version: Version, folder: Path, trust: Path | None) -> None:
    """Copies a version to a folder, which must be empty, and verifies it.

    Raises ModelsError for a file that is missing, was changed or does not belong there, and SignatureError where
    `trust`, the PEM file of a public key, is given and the version was not signed with its private one.
    """
    allowed = {*SERVED, *RECORDS}
    if set(version.files) != allowed:
        odd = ", ".join(sorted(set(version.files) ^ allowed))
        raise ModelsError(f"{models.uri(version.folder + MANIFEST)}: unexpected or missing: {odd}; publish it again")
    there = {item.path.removeprefix(version.folder) for item in models.list(version.folder)}
    for name in sorted(there - allowed - {MANIFEST, signature.FILE}):
        raise ModelsError(
            f"{models.uri(version.folder + name)}: does not belong there; delete it, and find out who put it"
        )
    for name in sorted(there):
        models.download(version.folder + name, folder / name)
    for name, digest in version.files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            uri = models.uri(version.folder + name)
            raise ModelsError(f"{uri}: missing, or changed since it was published; roll back, or publish again")
    if _name(folder) != version.version:
        raise ModelsError(
            f"{models.uri(version.folder)}: its files are those of version {_name(folder)}; publish again"
        )
    if trust is not None:
        signature.verify(folder, trust, models.uri(version.folder))


def _names(models: Store, deployment: str) -> list[str]:
    folder = prefix(deployment)
    paths = [item.path.removeprefix(folder) for item in models.list(folder)]
    return sorted(path.split("/")[0] for path in paths if path.endswith(f"/{MANIFEST}"))


def _name(folder: Path) -> str:
    lines = "".join(f"{name} {_sha256(folder / name)}\n" for name in SERVED)
    return hashlib.sha256(lines.encode()).hexdigest()[:VERSION_DIGITS]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
