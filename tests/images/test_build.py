"""Building images: what is asked for first, what is written down, and what keeps a build from starting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from k8s.images import build, digests, sbom
from k8s.images.locks import path_of, read_lock

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "0123456789abcdef" * 4
BASE = f"python@{DIGEST}"


def run_build(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k8s.images.build", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that has git and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(str(shutil.which("git")))
    return folder


@pytest.fixture
def bases(tmp_path: Path) -> Path:
    path = tmp_path / "bases.env"
    path.write_text(f"# of the tests\nPYTHON_BASE={BASE}\n", encoding="utf-8")
    return path


def test_the_committed_bases_name_every_argument_and_wait_for_their_digests() -> None:
    assert build.read_bases() == {image.base: "" for image in build.IMAGES.values()}
    done = run_build("batch")
    assert done.returncode == 1
    assert "PYTHON_BASE: no base image; write its name and digest into bases.env" in done.stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("PYTHON_BASE=python:3.11-slim", "bases.env:1: PYTHON_BASE=python:3.11-slim has no digest"),
        (f"PYTHON_BASE=python@{DIGEST[:-1]}", "has no digest"),
        (f"PYTHON={BASE}", "names no base; it must be one of CUDA_BASE, PYTHON_BASE, TRITON_BASE"),
    ],
)
def test_a_base_without_a_digest_is_refused(bases: Path, line: str, complaint: str) -> None:
    bases.write_text(line, encoding="utf-8")
    with pytest.raises(build.BuildError, match=re.escape(complaint)):
        build.read_bases(bases)


def test_without_a_builder_the_message_names_those_that_would_do(programs: Path, bases: Path) -> None:
    done = run_build("batch", "--bases", str(bases), PATH=str(programs))
    assert done.returncode == 1
    for program in ("docker", "buildah", "podman"):
        assert f"{program}: not installed" in done.stderr


def test_a_docker_client_without_an_engine_is_no_builder(programs: Path, bases: Path) -> None:
    if (client := shutil.which("docker")) is None:
        pytest.skip("there is no docker client on this machine")
    (programs / "docker").symlink_to(client)
    done = run_build("batch", "--bases", str(bases), PATH=str(programs), DOCKER_HOST="tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "no container builder works here" in done.stderr
    assert re.search(r"docker: .*127\.0\.0\.1:9", done.stderr)


@pytest.mark.parametrize("arguments", [("gpu",), ("batch", "--push")])
def test_bad_usage_is_told_apart(arguments: tuple[str, ...]) -> None:
    assert run_build(*arguments).returncode == 2


def test_a_digest_is_recorded_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "kustomization.yaml"
    shutil.copy(digests.PATH, path)
    before = {entry["name"]: entry for entry in yaml.safe_load(path.read_text())["images"]}
    digests.record("stmae-batch", "registry.example/cctv/stmae-batch", DIGEST, path)
    document = yaml.safe_load(path.read_text())
    after = {entry["name"]: entry for entry in document.pop("images")}
    assert document == {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    assert after.pop("stmae-batch") == {
        "name": "stmae-batch",
        "newName": "registry.example/cctv/stmae-batch",
        "digest": DIGEST,
    }
    assert after == {name: entry for name, entry in before.items() if name != "stmae-batch"}


def test_what_is_no_digest_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(digests.DigestsError, match="is no digest"):
        digests.record("stmae-batch", "registry.example/stmae-batch", "latest", tmp_path / "kustomization.yaml")


def test_the_committed_digests_are_those_of_the_images() -> None:
    document = yaml.safe_load(digests.PATH.read_text(encoding="utf-8"))
    assert sorted(entry["name"] for entry in document["images"]) == sorted(f"stmae-{name}" for name in build.IMAGES)
    assert all(digests.DIGEST.fullmatch(entry["digest"]) for entry in document["images"])


@pytest.mark.parametrize("name", sorted(build.IMAGES))
def test_a_bill_of_materials_is_valid_and_names_the_base_and_every_package(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.cdx.json"
    sbom.write(path, f"stmae-{name}", "0.1.0", DIGEST, BASE, build.IMAGES[name].locks)
    text = path.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    urls = set(re.findall(r'"purl": "([^"]+)"', text))
    pins = [pin for lock in build.IMAGES[name].locks for pin in read_lock(path_of(lock)).items()]
    locked = {f"pkg:pypi/{each}@{pin.version}" for each, pin in pins}
    images = {f"pkg:oci/{each}@{DIGEST.replace(':', '%3A')}" for each in ("python", f"stmae-{name}")}
    own = {"pkg:pypi/stmae@0.1.0"} if locked else set()
    assert {url.replace("@sha256:", "@sha256%3A") for url in urls} == locked | images | own


def test_the_context_has_what_dockerfiles_copy_and_nothing_else(tmp_path: Path) -> None:
    build.fill_context(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "k8s", "pyproject.toml", "stmae"]
    assert not list(tmp_path.rglob("__pycache__"))
    for name in build.IMAGES:
        copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (build.FOLDER / f"{name}.Dockerfile").read_text())
        assert [each for line in copied for each in line.split() if not (tmp_path / each).exists()] == []
