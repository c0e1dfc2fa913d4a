"""`python -m k8s.check` on copies of the manifests with a mistake in a file, and where kubectl will not do."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import pytest
from rendering import MANIFESTS

from k8s.check.__main__ import main
from k8s.check.render import RenderError, render, require_kubectl

SITE, IMAGES = "site/site.env", "images/kustomization.yaml"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The manifests and the page of a site's values, with the local overlay alone."""
    root = tmp_path / "k8s"
    for folder in ("base", "components", "images", "site"):
        shutil.copytree(MANIFESTS / folder, root / folder)
    shutil.copytree(MANIFESTS / "overlays/local", root / "overlays/local")
    (tmp_path / "docs").mkdir()
    shutil.copy(MANIFESTS.parent / "docs/cluster.md", tmp_path / "docs")
    return root


def change(path: Path, pattern: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    after = re.sub(pattern, text, before, count=1, flags=re.M)
    assert after != before
    path.write_text(after, encoding="utf-8")


def test_a_good_overlay_passes_and_the_last_line_counts(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(copied)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    counted = re.fullmatch(r"(\d+) checks, (\d+) passed", line)
    assert counted is not None
    assert counted[1] == counted[2]
    assert int(counted[1]) > 500


@pytest.mark.parametrize(
    ("file", "pattern", "text", "told"),
    [
        (SITE, r"^TABLES=.*", "TABLES=", r"k8s/site/site\.env: TABLES: is empty; set it"),
        (SITE, r"^ARCHIVE=.*", "ARCHIVE=<your bucket>", r"k8s/site/site\.env: ARCHIVE: is left as a placeholder"),
        (
            SITE,
            r"^MODELS=.*",
            "MODELS=/models",
            r"k8s/site/site\.env: MODELS: '/models' is not an s3:// or file:// URI",
        ),
        (SITE, r"^S3_PORT=.*", "S3_PORT=https", r"k8s/site/site\.env: S3_PORT: 'https' is not a port"),
        (SITE, r"\Z", "SPARE=1\n", r"k8s/site/site\.env: SPARE: nothing reads it"),
        (SITE, r"\Z", "SPARE=1\n", r"k8s/site/site\.env: SPARE: is not in the table of docs/cluster\.md"),
        (
            SITE,
            r"^SCHEDULE_TIME_ZONE=.*",
            "SCHEDULE_TIME_ZONE=CEST",
            r"local: CronJob/stmae-night: spec\.timeZone: 'CEST'",
        ),
        (
            SITE,
            r"^NIGHT_SCHEDULE=.*",
            "NIGHT_SCHEDULE=0 */12 * * *",
            r"local: CronJob/stmae-night: spec\.jobTemplate\.spec\.activeDeadlineSeconds: .* lower it, or",
        ),
        (
            SITE,
            r"^COMPACT_SCHEDULE=.*",
            "COMPACT_SCHEDULE=30 3 * * 0",
            r"local: CronJob/stmae-compact: spec\.schedule: .* move COMPACT_SCHEDULE",
        ),
        (
            IMAGES,
            r"sha256:b3a8[0-9a-f]+",
            "sha256:latest",
            r"local: CronJob/stmae-night: .*containers\[score\]\.image: .*k8s/images/kustomization\.yaml",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "=" in value else None,
)
def test_a_mistake_in_a_file_is_told_with_its_place(
    copied: Path, capsys: pytest.CaptureFixture[str], file: str, pattern: str, text: str, told: str
) -> None:
    change(copied / file, pattern, text)
    assert main([str(copied)]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert any(re.match(told, line) for line in lines), lines
    passed = re.fullmatch(r"(\d+) checks, (\d+) passed", last)
    assert passed is not None
    assert int(passed[2]) < int(passed[1])


def test_a_value_that_is_missing_altogether_is_told(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copied / SITE, r"^QUEUE=.*\n", "")
    assert main([str(copied)]) == 1
    assert "k8s/site/site.env: QUEUE: is missing; set it" in capsys.readouterr().out.splitlines()


def test_an_overlay_that_does_not_render_is_told_with_the_words_of_kustomize(copied: Path) -> None:
    change(copied / "overlays/local/kustomization.yaml", r"^resources:", "resource:")
    with pytest.raises(RenderError, match=r"overlays/local: .*resource"):
        render(copied, "local")


def test_what_kustomize_warns_of_is_refused(copied: Path) -> None:
    change(copied / "overlays/local/kustomization.yaml", r"^resources:", "commonLabels: {a: b}\nresources:")
    with pytest.raises(RenderError, match="deprecated"):
        render(copied, "local")


def test_a_folder_without_overlays_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site").mkdir()
    assert main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"clientVersion": {"gitVersion": "v1.20.5"}}', "does not say which kustomize it has"),
        ('{"clientVersion": {"gitVersion": "v1.26.0"}, "kustomizeVersion": "v4.5.7"}', "has kustomize v4.5.7"),
    ],
)
def test_an_old_kubectl_is_refused_with_what_is_needed(tmp_path: Path, answer: str, told: str) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\necho '{answer}'\n")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(RenderError, match=told) as raised:
        require_kubectl(str(kubectl))
    assert "install kubectl 1.27 or later" in str(raised.value)


def test_no_kubectl_is_told_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"not found; install kubectl 1\.27 or later"):
        require_kubectl(str(tmp_path / "kubectl"))
