"""Installing promoted versions into a Triton repository, beside a server that answers all the while.

Each graph gets a version number that derives from its content, and the ensemble calls its steps by these numbers. So
the old and the new graphs are loaded together while the ensemble, in one step, changes from the ones to the others.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from stmae import config as configs
from stmae.serving import tensors
from stmae.serving.client import ServingError
from stmae.serving.models.control import Control
from stmae.serving.models.pointer import current, deployments
from stmae.serving.models.version import FITTED, ModelsError, Version, fetch
from stmae.serving.pbtxt import EMBEDDED, Accelerator, Precision, Release, policy, texts
from stmae.serving.repository import PLACEHOLDER, find_deployments
from stmae.storage import Store
from stmae.storage.atomic import write_atomically

log = logging.getLogger(__name__)

_ADDING = ".adding-"
_VERSION = re.compile(r'key: "version"\n  value \{\n    string_value: "([^"]*)"')
_STEP = re.compile(r'model_name: "([^"]*)"\n    model_version: (-?\d+)')


def sync(
    models: Store,
    repository: Path,
    *,
    trust: Path | None = None,
    accelerator: Accelerator = EMBEDDED,
    server: Control | None = None,
) -> list[Version]:
    """Brings a Triton repository, and the server over it, to what is promoted in a models store; returns that.

    OpenVINO computes in bf16 where the parity gate has passed every promoted version in it: deployments share graphs.
    A version is copied and verified before anything changes. With `server`, graphs are loaded before the ensemble
    changes, and unloaded after it; a version that the server cannot load or does not answer with gives way to the one
    before. A deployment that is not promoted any more is removed. Raises ModelsError, SignatureError, StoreError and
    ServingError; whatever is raised, what was served is still served.
    """
    promoted = [version for name in deployments(models) if (version := current(models, name)) is not None]
    repository.mkdir(parents=True, exist_ok=True)
    kept = {version.deployment for version in promoted}
    precision: Precision = "bf16" if all("bf16" in version.parity for version in promoted) else "fp32"
    for version in promoted:
        if "fp32" not in version.parity:  # its graphs take and give other types than the texts would say
            raise ModelsError(f"{models.uri(version.folder)}: of an earlier version of stmae; publish the model again")
        serves = server.version(version.deployment) if server else installed(repository, version.deployment)
        if serves != version.version:
            with tempfile.TemporaryDirectory(prefix="stmae-fetch-") as temporary:
                fetch(models, version, Path(temporary), trust)
                try:
                    _install(version, Path(temporary), repository, (accelerator, precision), server)
                except ServingError:
                    _sweep(repository, kept, server)  # a server that starts anew would stumble over its graphs
                    raise
            log.info("%s: %s is served in place of %s", version.deployment, version.version, serves)
    _sweep(repository, kept, server)
    return promoted


def installed(repository: Path, deployment: str) -> str | None:
    """Returns the version of a deployment that a Triton repository holds, None where it holds none."""
    try:
        found = _VERSION.search((repository / deployment / "config.pbtxt").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found[1] if found else None


def _install(
    version: Version,
    files: Path,
    repository: Path,
    computing: tuple[Accelerator, Precision],
    server: Control | None,
) -> None:
    """Adds a version's graphs, then changes the ensemble."""
    config = configs.from_json((files / "config.json").read_text(encoding="utf-8"))
    release = Release.of(config, version.digest, version.version)
    graphs = {spec.served_name(version.deployment): files / f"{spec.file}.onnx" for spec in tensors.STEPS}
    numbers = {model: _number(graph) for model, graph in graphs.items()}
    *steps, (ensemble, text) = texts(release, *computing, numbers).items()
    for model, step in steps:
        _add_graph(graphs[model], repository / model / str(numbers[model]))
        _write_config(repository / model, step, _present(repository / model))
        if server:
            server.load(model)
    folder, number = repository / ensemble, int(version.version, 16)
    (folder / str(number)).mkdir(parents=True, exist_ok=True)
    (folder / str(number) / PLACEHOLDER).touch()
    before = {name: path.read_bytes() for name in ("config.pbtxt", *FITTED) if (path := folder / name).exists()}
    for name in FITTED:
        write_atomically(folder / name, (files / name).read_bytes())
    _write_config(folder, text, [number])
    if server:
        try:
            server.load(ensemble)
            server.infer(ensemble)
        except ServingError:
            _restore(folder, before, server)
            raise
        server.drain(ensemble)  # of requests to the graphs before


def _restore(folder: Path, before: dict[str, bytes], server: Control) -> None:
    """Returns to the ensemble that was there, or to none."""
    for name, content in before.items():
        write_atomically(folder / name, content)
    if before:
        server.load(folder.name)
    else:
        shutil.rmtree(folder)


def _sweep(repository: Path, promoted: set[str], server: Control | None) -> None:
    """Removes deployments that are not promoted, and graphs that no ensemble calls."""
    called: defaultdict[str, set[int]] = defaultdict(set)
    for name in find_deployments(repository):
        folder = repository / name
        if name not in promoted:
            if server:
                server.unload(name)
            shutil.rmtree(folder)
            continue
        text = (folder / "config.pbtxt").read_text(encoding="utf-8")
        called[name].add(int(installed(repository, name) or "0", 16))
        for model, number in _STEP.findall(text):
            called[model].add(int(number))
    for folder in (path.parent for path in sorted(repository.glob("*/config.pbtxt"))):
        for left in folder.glob(f"{_ADDING}*"):  # by one that was killed
            shutil.rmtree(left)
        stale = _present(folder) - called[folder.name]
        if not called[folder.name]:
            if server:
                server.unload(folder.name)
            shutil.rmtree(folder)
        elif stale:
            text = (folder / "config.pbtxt").read_text(encoding="utf-8")
            if 'platform: "ensemble"' not in text:
                _write_config(folder, text.partition("version_policy")[0], called[folder.name])
                if server:
                    server.load(folder.name)
            for number in stale:
                shutil.rmtree(folder / str(number))


def _number(graph: Path) -> int:
    """Returns a version number, of 60 bits and above 0, that derives from a file's content."""
    return int(hashlib.sha256(graph.read_bytes()).hexdigest()[:15], 16) or 1


def _add_graph(graph: Path, folder: Path) -> None:
    """Adds a version's directory, which appears with its file in it."""
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_ADDING, dir=folder.parent) as aside:
            (Path(aside) / folder.name).mkdir()
            shutil.copyfile(graph, Path(aside) / folder.name / "model.onnx")
            (Path(aside) / folder.name).replace(folder)


def _present(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir() if path.name.isdigit()}


def _write_config(folder: Path, text: str, numbers: set[int] | list[int]) -> None:
    write_atomically(folder / "config.pbtxt", (text + policy(numbers)).encode())
