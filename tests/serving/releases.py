"""Three releases of the small deployment, which differ in their weights, and a pair of keys to sign with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import numpy_helper
from tiny import TinyExport

from stmae.serving import models
from stmae.serving.models import Version
from stmae.storage import Store


@dataclasses.dataclass(frozen=True)
class Release:
    """An export with what is fitted to it."""

    export: Path
    fitted: dict[str, Path]

    def add(self, store: Store, key: Path | None = None, precisions: Sequence[str] = ("fp32",)) -> Version:
        """Adds it to a models store, as one that was found to be exact in some precisions."""
        records = {"evaluation": {"figures": {}}, "parity": {precision: {} for precision in precisions}}
        return models.add(store, self.export, self.fitted, records, key)


@pytest.fixture(scope="session")
def releases(tiny_export: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> list[Release]:
    """The small deployment, one with other encoders and decoder, and one with another flow net too."""
    made = [Release(tiny_export.folder, tiny_export.fitted)]
    for number, graphs in enumerate((("encode", "decode"), ("flow", "encode", "decode")), 1):
        folder = Path(shutil.copytree(tiny_export.folder, tmp_path_factory.mktemp("release") / "export"))
        for graph in graphs:
            scale(folder / f"{graph}.onnx", 1 + 0.1 * number)
        stamp(folder)
        made.append(Release(folder, tiny_export.fitted))
    return made


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """`keys(name)`: the PEM files of a private key and of its public one."""
    folder = tmp_path_factory.mktemp("keys")

    def pair(name: str) -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
        if not private.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
            private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
            shape = serialization.PublicFormat.SubjectPublicKeyInfo
            public.write_bytes(key.public_key().public_bytes(pem, shape))
        return private, public

    return pair


def scale(path: Path, factor: float) -> None:
    """Multiplies every weight of a graph."""
    model = onnx.load(path)
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if np.issubdtype(array.dtype, np.floating):
            weight.CopyFrom(numpy_helper.from_array((factor * array).astype(array.dtype), weight.name))
    onnx.save(model, path)


def stamp(folder: Path) -> None:
    """Makes export.json say what the graphs are now, as if they had been exported so."""
    manifest = json.loads((folder / "export.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()
    manifest["digest"] = hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()
    (folder / "export.json").write_text(json.dumps(manifest))
