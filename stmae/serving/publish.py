"""Publishing: a model enters a served repository only after a real Triton has computed what torch computes."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving import parity, tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.pbtxt import INSTANCE_KINDS, InstanceKind, texts
from stmae.serving.repository import RepositoryError, find_deployments, load_manifest, write_configs, write_repository
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import EmbeddedTriton, LauncherError
from stmae.storage.document import fitted_file, from_json

LOGGER = logging.getLogger(__name__)

SHARED = tuple(spec.name for spec in tensors.STEPS if spec.shared)
FITTED: dict[str, type[NormalityModel] | type[Calibration]] = {"normality": NormalityModel, "calibration": Calibration}
"""JSON files beside the ensemble's config.pbtxt, which Triton ignores."""


class PublishError(ValueError):
    """An export that cannot go into this repository; the message names the file, the reason and the mend."""


def publish(
    export_dir: Path,
    fitted: Mapping[str, Path],
    repository: Path,
    runtime: Path = runtimes.DEFAULT,
    instance_kind: InstanceKind = "cpu",
) -> dict[str, float]:
    """Installs an export if the embedded Triton computes what torch did; returns the largest difference of each output.

    `fitted` names the normality model and the calibration that go with it, by the names in FITTED.
    The gate serves a staged copy and compares every output of the ensemble on the golden segment with torch's. The
    ensemble is installed last, so that a deployment appears complete or not at all. `instance_kind` goes into the
    installed texts; the gate itself runs on the CPU. Whatever is raised, `repository` is as it was before:
    ParityError for a model that computes other scores or does not load, PublishError for files that don't fit,
    RuntimeFolderError for a Triton environment that is missing.
    """
    if instance_kind not in INSTANCE_KINDS:
        raise PublishError(f"instance_kind {instance_kind!r}: must be one of {', '.join(INSTANCE_KINDS)}")
    _check_export(export_dir)
    _check_fitted(fitted)
    runtimes.locate(runtime)  # a missing environment is not the model's fault
    repository = repository.absolute()
    repository.mkdir(parents=True, exist_ok=True)
    # Beside the repository: on the same file system a directory is installed by a rename.
    with tempfile.TemporaryDirectory(prefix=".publish-", dir=repository.parent) as scratch:
        staged, aside = Path(scratch) / "staged", Path(scratch) / "aside"
        aside.mkdir()
        release = write_repository(export_dir, staged)
        _check_shared(staged, repository, release.deployment)
        differences = _gate(export_dir, staged, release.deployment, runtime)
        if instance_kind != "cpu":
            write_configs(staged, release, instance_kind)
        for name in FITTED:
            shutil.copyfile(fitted[name], staged / release.deployment / f"{name}.json")
        with _restored_on_error(repository, aside):
            # The ensemble goes first and comes last: a server that loads it meanwhile never finds half of a deployment.
            _move_aside(repository / release.deployment, aside)
            for model in texts(release, instance_kind):
                if model in SHARED and _same(staged / model, repository / model):
                    continue
                _move_aside(repository / model, aside)
                (staged / model).replace(repository / model)
    LOGGER.info("published %s-%s into %s", release.deployment, release.digest[:8], repository)
    return differences


def publish_all(
    export_dir: Path, evaluation_dir: Path, repository: Path, runtime: Path, instance_kind: InstanceKind = "cpu"
) -> dict[str, float]:
    """Publishes an export, or the exports of all scenes in it, each with its normality model and calibration.

    Returns the largest difference of each output of the ensemble; raises what `publish` does.
    """
    scenes = sorted(path.parent.name for path in export_dir.glob("*/export.json")) or [""]
    worst: dict[str, float] = {}
    for scene in scenes:
        fitted = {name: evaluation_dir / fitted_file(name, scene) for name in FITTED}
        found = publish(export_dir / scene, fitted, repository, runtime, instance_kind)
        worst = {name: max(difference, worst.get(name, 0.0)) for name, difference in found.items()}
    return worst


def _gate(export_dir: Path, staged: Path, deployment: str, runtime: Path) -> dict[str, float]:
    golden = parity.load_golden(export_dir)
    try:
        with EmbeddedTriton(staged, runtime=runtime) as server, Client(server.grpc_url, deployment) as client:
            scores = client.score_segment(golden[tensors.FRAMES.name])
    except (LauncherError, ServingError) as error:
        raise parity.ParityError(f"Triton cannot serve {export_dir}, it is not published: {error}") from error
    computed = {output.name: getattr(scores, output.name.lower()) for output in tensors.ENSEMBLE.outputs}
    return parity.compare("Triton", computed, golden)


def _check_export(export_dir: Path) -> None:
    """Raises PublishError if files changed since export.json was written: its digest would name other weights."""
    try:
        files = load_manifest(export_dir)["files"]
    except RepositoryError as error:
        raise PublishError(str(error)) from None
    assert isinstance(files, dict)
    for spec in tensors.STEPS:
        path = export_dir / f"{spec.file}.onnx"
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != files.get(spec.file):
            raise PublishError(f"{path}: missing, or changed since it was exported; export the model again")


def _check_fitted(fitted: Mapping[str, Path]) -> None:
    for name, kind in FITTED.items():
        try:
            from_json(kind, fitted[name].read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PublishError(f"{fitted[name]}: {error}; evaluate the model again, which writes it") from None


def _check_shared(staged: Path, repository: Path, deployment: str) -> None:
    others = [name for name in find_deployments(repository) if name != deployment]
    for model in SHARED:
        ours, theirs = (folder / model / "1" / "model.onnx" for folder in (staged, repository))
        if others and theirs.is_file() and not filecmp.cmp(ours, theirs, shallow=False):
            raise PublishError(
                f"{theirs}: differs from the {model!r} of this export, and {', '.join(others)} use it too; "
                "export all deployments with one version and publish them into an empty repository"
            )


def _same(ours: Path, theirs: Path) -> bool:
    return all(
        (theirs / file).is_file() and filecmp.cmp(ours / file, theirs / file, shallow=False)
        for file in ("config.pbtxt", "1/model.onnx")
    )


def _move_aside(model: Path, aside: Path) -> None:
    if model.exists():
        model.replace(aside / model.name)


@contextlib.contextmanager
def _restored_on_error(repository: Path, aside: Path) -> Iterator[None]:
    """Puts back what was moved aside if the block fails, and removes what is new."""
    before = {path.name for path in repository.iterdir()}
    try:
        yield
    except BaseException:
        for path in list(repository.iterdir()):
            if path.name not in before:
                shutil.rmtree(path, ignore_errors=True)
        for path in list(aside.iterdir()):
            shutil.rmtree(repository / path.name, ignore_errors=True)
            path.replace(repository / path.name)
        raise
