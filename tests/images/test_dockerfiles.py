"""The Dockerfiles keep their promises, and what breaks one is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from k8s.images.build import IMAGES
from k8s.images.dockerfiles import faults
from k8s.images.locks import FOLDER

DIGEST = "sha256:" + "0" * 64
BATCH = (FOLDER / "batch.Dockerfile").read_text(encoding="utf-8")
FILES = sorted(FOLDER.glob("*.Dockerfile"))


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}")
    assert program, "hadolint is missing: make setup"
    return subprocess.run([program, "--no-color", str(path)], capture_output=True, text=True, check=False)


def test_every_image_has_a_dockerfile() -> None:
    assert [path.stem for path in FILES] == sorted(IMAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dockerfile_is_clean(path: Path) -> None:
    assert faults(path) == []
    done = hadolint(path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("USER 65532:65532\n", "", "USER root: must be numbers"),
        ("USER 65532:65532", "USER root", "USER root: must be numbers"),
        ("USER 65532:65532", "USER 0:0", "USER 0:0: must be numbers"),
        ("USER 65532:65532", "USER stmae", "USER stmae: must be numbers"),
        ("\nFROM ${PYTHON_BASE}\n", "\nFROM debian:12\n", "FROM debian:12: names no digest"),
        ("ARG PYTHON_BASE\n\nFROM", "ARG PYTHON_BASE=python:3.11\n\nFROM", "FROM ${PYTHON_BASE}: names no digest"),
        ("ARG PYTHON_BASE\n\nFROM", "FROM", "FROM ${PYTHON_BASE}: names no digest"),
        ('ENTRYPOINT ["stmae"]', "ENTRYPOINT stmae", "ENTRYPOINT stmae: must be a JSON list"),
        ("--require-hashes ", "", "needs --no-deps, and --require-hashes"),
        ("--no-index --no-deps wheels", "--no-index wheels", "needs --no-deps"),
        ('org.opencontainers.image.revision="${REVISION}"', 'revision="${REVISION}"', "image.revision: missing"),
    ],
)
def test_a_dockerfile_that_breaks_a_promise_is_found(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in BATCH
    path = tmp_path / "batch.Dockerfile"
    path.write_text(BATCH.replace(old, new), encoding="utf-8")
    assert complaint in "\n".join(faults(path))


def test_a_base_may_have_a_default_by_digest(tmp_path: Path) -> None:
    path = tmp_path / "batch.Dockerfile"
    path.write_text(BATCH.replace("ARG PYTHON_BASE\n\n", f"ARG PYTHON_BASE=python@{DIGEST}\n\n"), encoding="utf-8")
    assert faults(path) == []


def test_hadolint_finds_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "batch.Dockerfile"
    path.write_text(BATCH.replace("USER 65532:65532", "USER root"), encoding="utf-8")
    done = hadolint(path)
    assert done.returncode == 1
    assert "DL3002" in done.stdout
