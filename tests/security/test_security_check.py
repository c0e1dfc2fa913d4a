"""The parts of `make security-check` find what they look for, and say where they could not look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import check
import pytest


@pytest.mark.parametrize(
    "text",
    [
        "key = 'AKIA" + "IOSFODNN7EXAMPLE'",
        "-----BEGIN EC PRIVATE" + " KEY-----\n" + 60 * "A",
        "token: ghp_" + 36 * "a",
        "url = 'postgres://user:pass" + "word@host/db'",
        'secret_key = "' + 24 * "x" + '"',
    ],
)
def test_what_looks_like_a_secret_is_found_with_its_line(text: str) -> None:
    (found,) = check.secrets_in(f"first line\n{text}\n".encode())
    assert found.startswith("2: looks like")


@pytest.mark.parametrize(
    "text",
    ["AWS_SECRET_ACCESS_KEY from the environment", "http://127.0.0.1:8000/v2", "f'{user}:{word}@{host}'", "\xff\xfe"],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert list(check.secrets_in(text.encode("latin-1"))) == []


@pytest.mark.parametrize(
    ("text", "free"),
    [("MIT", True), ("Apache-2.0 AND CNRI-Python", True), ("LGPLv3", True), ("GPL-3.0-only", False), ("", False)],
)
def test_licences_are_told_apart(text: str, free: bool) -> None:
    assert check.is_free(text) is free


def test_an_audit_without_a_network_is_not_one_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert check.audit().passed is None


def test_the_last_line_counts_and_a_failure_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = {"a": check.Verdict(True, ""), "b": check.Verdict(True, "")}
    monkeypatch.setattr(check, "CHECKS", {name: lambda name=name: verdicts[name] for name in verdicts})
    assert check.main() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 checks, 2 passed"
    verdicts["b"] = check.Verdict(None, "no network")
    assert check.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 checks, 1 passed, 1 could not be made"
    verdicts["b"] = check.Verdict(False, "")
    assert check.main() == 1


def test_it_runs_from_any_folder(tmp_path: Path) -> None:
    here = str(Path(check.__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import check; print(check.secrets().passed)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
