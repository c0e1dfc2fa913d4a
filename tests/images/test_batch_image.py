"""The image of the nightly job, built for real: it scores as a user without rights, on a read-only root."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from containers import Containers
from nights import GOOD, Night, bytes_of, covered, read

import stmae
from k8s.images.build import OUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
WARM_UP = 4


def run_python(containers: Containers, image: str, code: str, status: int = 0) -> str:
    return containers.container(image, "-c", code, entry="python3", status=status)


def score(containers: Containers, image: str, night: Night, archive: Path, tables: Path, *options: str) -> None:
    """Scores an archive in a container; it may write to the tables' folder and /tmp alone."""
    for folder in (archive, night.fitted):
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    tables.mkdir()
    tables.chmod(0o777)
    mounts = (f"{archive}:/archive:ro", f"{night.fitted}:/fitted:ro", f"{tables}:/tables")
    command = ["score", "--archive=/archive", "--tables=/tables", f"--server={night.server_url}"]
    command += [f"--deployment={night.deployment}", "--normality=/fitted/normality.json"]
    containers.container(image, *command, "--calibration=/fitted/calibration.json", *options, mounts=mounts)


def frames(tables: Path) -> dict[str, int]:
    """Scored frames of each video, by the end of its name."""
    found = [row["source"].removeprefix("file:///archive/") for row in read(tables, "scores").to_pylist()]
    return {name: found.count(name) for name in set(found)}


def test_the_digest_that_is_recorded_is_the_registrys(
    containers: Containers, batch_image: str, digests_file: Path
) -> None:
    (entry,) = yaml.safe_load(digests_file.read_text())["images"]
    assert entry["name"] == "stmae-batch"
    assert f"{entry['newName']}@{entry['digest']}" == batch_image
    assert containers.digest("stmae-batch", entry["digest"]) == entry["digest"]


def test_it_scores_without_rights_and_without_a_root_to_write_to(
    containers: Containers, batch_image: str, night: Night, archive: Path, tmp_path: Path
) -> None:
    tables = tmp_path / "tables"
    score(containers, batch_image, night, archive, tables)
    assert frames(tables) == {name.replace(" ", "%20"): count - WARM_UP for name, count in GOOD.items()}
    assert {row["status"] for row in covered(tables)} == {"scored"}
    assert read(tables, "runs").num_rows == 1
    owners = {path.stat().st_uid for path in tables.rglob("*.parquet")}
    assert owners == {65532}


def test_ray_in_it_writes_what_the_local_engine_writes(
    containers: Containers, batch_image: str, night: Night, archive: Path, tmp_path: Path
) -> None:
    local, ray = tmp_path / "local", tmp_path / "ray"
    score(containers, batch_image, night, archive, local)
    score(containers, batch_image, night, archive, ray, "--engine=ray", "--workers=1")
    assert bytes_of(local) == bytes_of(ray) != {}


def test_it_has_no_torch_and_no_installer(containers: Containers, batch_image: str) -> None:
    for module in ("torch", "pip", "ensurepip", "setuptools"):
        said = run_python(containers, batch_image, f"import {module}", status=1)
        assert f"No module named '{module}'" in said


def test_it_runs_as_its_own_user_and_cannot_write_outside_tmp(containers: Containers, batch_image: str) -> None:
    code = "import getpass, os, tempfile; print(os.getuid(), os.getgid(), getpass.getuser(), tempfile.gettempdir())"
    assert run_python(containers, batch_image, code).split() == ["65532", "65532", "stmae", "/tmp"]
    said = run_python(containers, batch_image, "open('/opt/stmae/x', 'w')", status=1)
    assert re.search("Read-only file system|Permission denied", said)


def test_its_labels_say_what_it_is_made_of(containers: Containers, batch_image: str, base: str) -> None:
    labels = json.loads(containers.run("podman", "image", "inspect", "--format={{json .Labels}}", batch_image))
    named = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert named["version"] == stmae.__version__
    assert named["revision"].removesuffix("-dirty") == head
    assert named["base.name"] == base
    assert containers.container(batch_image, "--version").strip() == f"stmae {stmae.__version__}"


def test_its_bill_of_materials_names_what_is_installed_in_it(containers: Containers, batch_image: str) -> None:
    bill = json.loads((OUT / "batch.cdx.json").read_text(encoding="utf-8"))
    named = {(each["name"], each["version"]) for each in bill["components"] if each["type"] == "library"}
    code = (
        "import importlib.metadata, json, re, sys\n"
        "found = importlib.metadata.distributions(path=[p for p in sys.path if p.startswith('/opt/stmae')])\n"
        "print(json.dumps([(re.sub('[-_.]+', '-', each.name).lower(), each.version) for each in found]))"
    )
    installed = {tuple(each) for each in json.loads(run_python(containers, batch_image, code))}
    assert named == installed
    assert bill["metadata"]["component"]["version"] == stmae.__version__
