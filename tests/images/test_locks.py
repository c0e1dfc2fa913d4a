"""The lock files: what is installed into an image is what was tried, all of it, and nothing else."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from k8s.images import locks

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROJECT_LOCKS = ("batch", "train")
CUDA = re.compile(r"(nvidia|cuda)-.*|triton")
"""What the CUDA build of torch needs; the environment of constraints.txt has its CPU build."""
HASH = "--hash=sha256:" + "0" * 64


def pinned(path: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {locks.normal(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def environment(lock: str) -> dict[str, str]:
    python = locks.RECIPES[lock].python
    return {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for an image."""
    extras = [PROJECT["optional-dependencies"][extra] for extra in locks.RECIPES[lock].extras]
    return [Requirement(each) for part in (PROJECT["dependencies"], *extras) for each in part]


@pytest.mark.parametrize("lock", sorted(locks.RECIPES))
def test_every_package_of_a_lock_has_a_version_and_hashes(lock: str) -> None:
    assert locks.read_lock(locks.path_of(lock))


@pytest.mark.parametrize("lock", sorted(locks.RECIPES))
def test_a_lock_names_no_index_and_no_folder(lock: str) -> None:
    text = locks.path_of(lock).read_text(encoding="utf-8")
    assert re.findall(r"://|--index|--find-links|--extra-index|/\w+/|\+cpu", text) == []


@pytest.mark.parametrize("lock", PROJECT_LOCKS)
def test_a_lock_has_what_pyproject_asks_for(lock: str) -> None:
    pins = locks.read_lock(locks.path_of(lock))
    wanted = [each for each in asked(lock) if not each.marker or each.marker.evaluate(environment(lock))]
    versions = {name: pin.version for name, pin in pins.items()}
    lacking = [str(each) for each in wanted if versions.get(locks.normal(each.name), "") not in each.specifier]
    assert lacking == [], "write the locks again: make image-locks"


@pytest.mark.parametrize("lock", PROJECT_LOCKS)
def test_a_lock_has_the_versions_of_the_constraints(lock: str) -> None:
    tried, pins = pinned(ROOT / "constraints.txt"), locks.read_lock(locks.path_of(lock))
    differ = {
        name: (pin.version, tried.get(name))
        for name, pin in pins.items()
        if pin.version != tried.get(name) and not CUDA.fullmatch(name) and name != "setuptools"
    }
    assert differ == {}, "write the locks again: make image-locks"


@pytest.mark.parametrize("lock", PROJECT_LOCKS)
def test_a_lock_lacks_nothing_that_its_packages_need(lock: str) -> None:
    pins = locks.read_lock(locks.path_of(lock))
    lacking = {}
    for name in pins:
        try:
            needs = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue  # of CUDA
        for need in map(Requirement, needs):
            if (not need.marker or need.marker.evaluate(environment(lock))) and locks.normal(need.name) not in pins:
                lacking[name] = str(need)
    assert lacking == {}, "write the locks again: make image-locks"


def test_the_night_has_no_torch_and_training_has_one_with_cuda() -> None:
    batch, train = (locks.read_lock(locks.path_of(lock)) for lock in ("batch", "train"))
    assert [name for name in batch if name == "torch" or CUDA.fullmatch(name)] == []
    assert "torch" in train
    assert [name for name in train if name.startswith("nvidia-cudnn-cu")]


def test_the_embedded_server_is_the_one_that_is_tried() -> None:
    found = {name: pin.version for name, pin in locks.read_lock(locks.path_of("triton-runtime")).items()}
    assert found == pinned(ROOT / "triton-requirements.txt")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("numpy==2.4.6\n", "numpy==2.4.6 has no sha256 hash"),
        (f"numpy==2.4.6 \\\n    {HASH[:-1]}\n", "numpy==2.4.6 has no sha256 hash"),
        (f"numpy>=2 \\\n    {HASH}\n", "is no NAME==VERSION"),
        (f"--index-url=x\nnumpy==2.4.6 {HASH}\n", "is no NAME==VERSION"),
        (f"numpy==2.4.6 {HASH}\nNumPy==2.4.6 {HASH}\n", "NumPy stands there twice"),
    ],
)
def test_a_lock_that_pins_too_little_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "batch.lock"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(locks.LockError, match=re.escape(complaint)):
        locks.read_lock(path)


@pytest.mark.slow  # asks the package index
def test_the_index_gives_the_locks_as_they_are() -> None:
    assert [line for name in locks.RECIPES for line in locks.differences(name)] == []


@pytest.mark.slow  # asks the package index
def test_a_lock_that_the_index_does_not_give_is_found(tmp_path: Path) -> None:
    path, strange = tmp_path / "build.lock", HASH.partition("=")[2]
    path.write_text(re.sub("sha256:[0-9a-f]{64}", strange, locks.path_of("build").read_text(), count=1))
    (found,) = locks.differences("build", path)
    assert f"build.lock has a hash of setuptools that the index does not give: {strange}" == found
