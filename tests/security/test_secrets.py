"""What is secret stays where it was given: no log, traceback, status, table, span or report holds any of it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import otlp
import pytest
from nights import Night, film
from swift import S3Server

from stmae.batch.traces import ENDPOINT

CANARIES = {
    "AWS_SESSION_TOKEN": "canary-session-token-4711",
    "STMAE_TRITON_ADMIN": "triton-grpc-protocol-admin=canary-admin-key-4711",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary-receiver-token-4711",
    "GITHUB_TOKEN": "canary-other-token-4711",
}
"""Variables of a job's environment, by what is secret in them."""
WRONG = "canary-wrong-secret-key-4711"


def spellings(secret: str) -> list[bytes]:
    """Returns a secret as it is, quoted for a URL, and in base64."""
    return [secret.encode(), quote(secret, safe="").encode(), base64.b64encode(secret.encode())]


def told(secrets: list[str], *texts: bytes) -> list[str]:
    """Returns the secrets that texts hold."""
    return [secret for secret in secrets for spelling in spellings(secret) for text in texts if spelling in text]


def files(folder: Path) -> list[bytes]:
    """Returns the names and the bytes of all files below a folder."""
    return [str(path).encode() + b"\n" + path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def stmae(environment: Mapping[str, str], *arguments: str) -> tuple[int, bytes]:
    """Runs the command, verbose; returns its status and all that it says."""
    command = [sys.executable, "-m", "stmae", "--verbose", *arguments]
    done = subprocess.run(command, env=dict(environment), capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def job(night: Night, bucket: Any, s3: S3Server, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a run over an archive in a bucket, into tables on disk."""
    client, name = bucket
    film(tmp_path / "gate.mp4", 30)
    client.put_object(Bucket=name, Key="gate/2026-03-01/08-00-00.mp4", Body=(tmp_path / "gate.mp4").read_bytes())
    fitted = [f"--{kind}={night.fitted / kind}.json" for kind in ("normality", "calibration")]
    places = [f"--archive=s3://{name}", f"--tables={tmp_path / 'tables'}", f"--server={night.server_url}"]
    arguments = ["score", *places, f"--deployment={night.deployment}", "--workers=1", *fitted]
    return arguments, {**os.environ, **s3.environment(), **CANARIES}


def test_a_run_and_its_report_hold_nothing_secret(
    job: tuple[list[str], dict[str, str]], s3: S3Server, tmp_path: Path
) -> None:
    arguments, environment = job
    del environment["AWS_SESSION_TOKEN"]  # the server would look for it
    with otlp.Receiver() as receiver:
        status, said = stmae(environment | {ENDPOINT: receiver.endpoint}, *arguments)
        assert status == 0, said.decode()
        spans = [span.SerializeToString() for span in receiver.spans]
        assert any("canary-receiver-token-4711" in str(headers) for headers in receiver.headers), (
            "it goes to them alone"
        )
    tables = f"--tables={tmp_path / 'tables'}"
    report, status_said = (
        stmae(environment, verb, tables, *more)
        for verb, more in (
            ("report", [f"--out={tmp_path / 'tables/night.html'}"]),
            ("status", ["--json"]),
        )
    )
    assert (report[0], status_said[0]) == (0, 0)
    written = files(tmp_path / "tables")
    assert {Path(each.split(b"\n")[0].decode()).suffix for each in written} >= {".parquet", ".json", ".html"}
    secrets = [s3.secret_key, *(text.rpartition("=")[2] for text in CANARIES.values())]
    assert told(secrets, said, report[1], status_said[1], *spans, *written) == []


@pytest.mark.parametrize("named", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_refusal_says_what_to_check_and_not_what_it_was(
    job: tuple[list[str], dict[str, str]], tmp_path: Path, named: str
) -> None:
    arguments, environment = job
    del environment["AWS_SESSION_TOKEN"]
    environment |= {"AWS_SECRET_ACCESS_KEY": WRONG, **({named: WRONG} if "TOKEN" in named else {})}
    status, said = stmae(environment, *arguments)
    assert status == 1
    assert b"Traceback" in said, "a verbose run shows where it failed"
    assert b"check AWS_ACCESS_KEY_ID" in said
    assert told([WRONG, *(text.rpartition("=")[2] for text in CANARIES.values())], said, *files(tmp_path)) == []


def test_the_content_of_a_key_is_never_shown(job: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    arguments, environment = job
    (tmp_path / "key.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{WRONG}\n-----END PRIVATE KEY-----\n")
    files = [f"--tls-{name}={tmp_path / 'key.pem'}" for name in ("ca", "cert", "key")]
    status, said = stmae(environment, *arguments, *files)
    assert status == 2
    assert b"key.pem: no PEM file of that kind" in said
    assert told([WRONG], said) == []


def test_the_check_finds_what_it_looks_for() -> None:
    for text in (WRONG.encode(), base64.b64encode(WRONG.encode()), f"a?b={quote(WRONG)}".encode()):
        assert told([WRONG], b"nothing", text)
    assert told([WRONG], b"nothing") == []
