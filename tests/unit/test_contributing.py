"""What contributors rely on: the commands that pages name, the local hooks, hosted CI, and one version everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import stmae

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


PAGES = ["CONTRIBUTING.md", "README.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/gpu/README.md", "k8s/README.md"]
PAGES += ["docs/deploy.md", "docs/images.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M))
    assert named
    assert sorted(named - TARGETS) == []


def test_every_target_is_explained_and_phony() -> None:
    explained = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M))
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)", MAKEFILE, re.M)
    assert phony
    assert set(phony[1].replace("\\\n", " ").split()) == explained == TARGETS


def test_hooks_run_from_the_environment_and_download_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "mypy"}
    assert all(hook["entry"].startswith(".venv/bin/") and hook["language"] == "system" for hook in hooks)


def test_hosted_ci_runs_what_ci_runs_and_may_only_read() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


def test_package_and_project_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert stmae.__version__ == project
