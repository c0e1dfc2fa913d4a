"""Publishing: a model enters the models store only after a real Triton has computed what torch computes."""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving import models, parity, tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.pbtxt import Precision
from stmae.serving.repository import RepositoryError, check_export, write_repository
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import EmbeddedTriton, LauncherError
from stmae.storage import Store
from stmae.storage.document import fitted_file, from_json

LOGGER = logging.getLogger(__name__)

FITTED: dict[str, type[NormalityModel] | type[Calibration]] = {"normality": NormalityModel, "calibration": Calibration}
"""What is fitted to a model, by the name of its JSON file."""
REVISION = "STMAE_REVISION"
"""Environment variable: the revision of the source, which an image is built with."""


class PublishError(ValueError):
    """An export that cannot be published; the message names the file, the reason and the mend."""


def publish(
    export_dir: Path,
    fitted: Mapping[str, Path],
    store: Store,
    runtime: Path = runtimes.DEFAULT,
    evaluation: Mapping[str, Any] | None = None,
    key: Path | None = None,
) -> models.Version:
    """Adds an export to a models store if the embedded Triton computes what torch did; returns the version.

    `fitted` names the normality model and the calibration that go with it, by the names in FITTED; `evaluation` is the
    content of evaluation.json. The gate serves a copy on the CPU, and compares every output of the ensemble on the
    golden segment with torch's: in fp32, and in bf16 where this machine's cores compute in it, of which a failure only
    means that the version is served in fp32. With `key`, the PEM file of a private key, the version is signed.

    Whatever is raised, the store has no new version: ParityError for a model that computes other scores or does not
    load, PublishError for files that don't fit, RuntimeFolderError for a Triton environment that is missing, StoreError
    and SignatureError.
    """
    try:
        check_export(export_dir)
    except RepositoryError as error:
        raise PublishError(str(error)) from None
    _check_fitted(fitted)
    runtimes.locate(runtime)  # a missing environment is not the model's fault
    differences = {"fp32": _gate(export_dir, runtime, "fp32")}
    if computes_bf16():
        try:
            differences["bf16"] = _gate(export_dir, runtime, "bf16")
        except parity.ParityError as error:
            LOGGER.warning("%s: it is served in fp32 only", error)
    evaluation = evaluation or {}
    records = {"evaluation": evaluation, "parity": differences, "provenance": _provenance(evaluation)}
    version = models.add(store, export_dir, fitted, records, key)
    LOGGER.info("published %s %s into %s", version.deployment, version.version, store.root)
    return version


def publish_all(
    export_dir: Path, evaluation_dir: Path, store: Store, runtime: Path, key: Path | None = None
) -> list[models.Version]:
    """Publishes an export, or the exports of all scenes in it, each with its normality model and calibration.

    Raises what `publish` does.
    """
    scenes = sorted(path.parent.name for path in export_dir.glob("*/export.json")) or [""]
    path = evaluation_dir / "evaluation.json"
    evaluation = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [
        publish(
            export_dir / scene,
            {name: evaluation_dir / fitted_file(name, scene) for name in FITTED},
            store,
            runtime,
            evaluation,
            key,
        )
        for scene in scenes
    ]


def computes_bf16() -> bool:
    """Returns whether OpenVINO computes in bf16 on this machine's cores."""
    return bool({"avx512_bf16", "amx_bf16"} & set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()))


def _gate(export_dir: Path, runtime: Path, precision: Precision) -> dict[str, float]:
    golden = parity.load_golden(export_dir)
    with tempfile.TemporaryDirectory(prefix="stmae-gate-") as temporary:
        staged = Path(temporary)
        deployment = write_repository(export_dir, staged, "openvino", precision).deployment
        try:
            with EmbeddedTriton(staged, runtime=runtime) as server, Client(server.grpc_url, deployment) as client:
                scores = client.score_segment(golden[tensors.FRAMES.name])
        except (LauncherError, ServingError) as error:
            raise parity.ParityError(f"Triton cannot serve {export_dir}, it is not published: {error}") from error
    computed = {output.name: getattr(scores, output.name.lower()) for output in tensors.ENSEMBLE.outputs}
    return parity.compare("Triton" if precision == "fp32" else f"Triton in {precision}", computed, golden, precision)


def _check_fitted(fitted: Mapping[str, Path]) -> None:
    for name, kind in FITTED.items():
        try:
            from_json(kind, fitted[name].read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PublishError(f"{fitted[name]}: {error}; evaluate the model again, which writes it") from None


def _provenance(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the version was made from and with, as far as it is known here."""
    tools = ("numpy", "torch", "onnxruntime", "tritonclient")
    found = {tool: metadata.version(tool) for tool in tools if any(metadata.distributions(name=tool))}
    return {
        "revision": os.environ.get(REVISION, ""),
        "dataset_digest": evaluation.get("dataset_digest", ""),
        "python": platform.python_version(),
        "tools": found,
    }
