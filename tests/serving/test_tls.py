"""TLS and mutual TLS against the real Triton; what is wrong is said, with the option that mends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from authority import Authority, Signed

from stmae.cli import main
from stmae.serving.client import Client, ServingError
from stmae.serving.models.control import Control
from stmae.serving.tls import Tls, TlsError
from stmae.serving.triton.launcher import EmbeddedTriton


@dataclasses.dataclass(frozen=True)
class Secured:
    """A server with TLS, and what belongs to it."""

    url: str
    authority: Authority
    client: Signed

    @property
    def tls(self) -> Tls:
        return Tls(self.authority.ca, self.client.certificate, self.client.key)


@pytest.fixture(scope="module", params=["TLS", "mutual TLS"])
def secured(
    request: pytest.FixtureRequest, triton_server: Any, triton_runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    authority = Authority(tmp_path_factory.mktemp("authority"), "the tests' authority")
    own, client = authority.sign("server"), authority.sign("client")
    options = [
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={own.certificate}",
        f"--grpc-server-key={own.key}",
        f"--grpc-root-cert={authority.ca}",
        *(["--grpc-use-ssl-mutual=true"] if request.param == "mutual TLS" else []),
    ]
    tls = Tls(authority.ca, client.certificate, client.key)
    repository = triton_server.repository
    with EmbeddedTriton(repository, runtime=triton_runtime, control=True, options=options, tls=tls) as server:
        yield Secured(server.grpc_url, authority, client)


mutually = pytest.mark.parametrize("secured", ["mutual TLS"], indirect=True)


def refused(url: str, tls: Tls | None) -> str:
    with Client(url, "tiny", tls=tls) as client, pytest.raises(ServingError) as caught:
        client.describe()
    assert caught.value.cause == "unavailable"
    return str(caught.value)


def test_scores_are_those_without_tls(secured: Secured, triton_server: Any, film: Any) -> None:
    frames = film(9, 64)
    with Client(secured.url, "tiny", tls=secured.tls) as client, Client(triton_server.grpc_url, "tiny") as plain:
        np.testing.assert_allclose(client.score_segment(frames).psnr, plain.score_segment(frames).psnr, atol=1e-4)


def test_models_are_loaded_and_asked_over_tls(secured: Secured) -> None:
    with Control(secured.url, secured.tls) as control:
        control.load("tiny")
        control.infer("tiny")
        assert control.version("tiny") is not None


def test_a_plain_client_is_told_that_the_server_speaks_tls(secured: Secured) -> None:
    assert f"{secured.url}: model 'tiny': it speaks TLS: give the CA of its certificate with --tls-ca" in refused(
        secured.url, None
    )


def test_a_server_of_another_authority_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another authority")
    said = refused(secured.url, dataclasses.replace(secured.tls, ca=other.ca))
    assert "its TLS certificate is not trusted" in said
    assert f"{other.ca} did not sign it" in said


@mutually
def test_a_client_without_a_certificate_is_told_to_give_one(secured: Secured) -> None:
    said = refused(secured.url, Tls(secured.authority.ca))
    assert "it asks for a client certificate; give one with --tls-cert and --tls-key" in said


@mutually
def test_a_client_of_another_authority_is_refused(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "another authority").sign("stranger")
    said = refused(secured.url, Tls(secured.authority.ca, stranger.certificate, stranger.key))
    assert f"it refuses {stranger.certificate}; give one of a CA that it trusts" in said


@mutually
def test_a_client_with_an_expired_certificate_is_refused(secured: Secured) -> None:
    old = secured.authority.sign("old", days=-1)
    said = refused(secured.url, Tls(secured.authority.ca, old.certificate, old.key))
    assert f"it refuses {old.certificate}; give one of a CA that it trusts, not expired" in said


def test_a_server_without_tls_is_told(triton_server: Any, secured: Secured) -> None:
    said = refused(triton_server.grpc_url, Tls(secured.authority.ca))
    assert "it does not speak TLS: leave --tls-ca out" in said


def test_files_that_are_none_are_named_before_anything_is_asked(secured: Secured, tmp_path: Path) -> None:
    absent, text = tmp_path / "absent.pem", tmp_path / "text.pem"
    text.write_text("no PEM")
    good, other = secured.tls, secured.authority.sign("other")
    for changes, said in (
        ({"ca": absent}, r"--tls-ca .*absent\.pem: cannot be read"),
        ({"ca": text}, r"--tls-ca .*text\.pem: no PEM file"),
        ({"key": absent}, r"--tls-key .*absent\.pem: cannot be read"),
        ({"certificate": text}, r"--tls-cert .*text\.pem: no PEM file"),
        ({"key": other.key}, r"--tls-cert and --tls-key .*KEY_VALUES_MISMATCH"),
        ({"key": None}, "belong together"),
    ):
        with pytest.raises(TlsError, match=said):
            Client(secured.url, "tiny", tls=dataclasses.replace(good, **changes))


def test_the_command_scores_over_tls(
    secured: Secured, tiny_export: Any, film: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stmae.video.writer import write_video

    write_video(tmp_path / "site/gate.mp4", film(20, 64), 10.0)
    fitted = [f"--{name}={path}" for name, path in tiny_export.fitted.items()]
    places = [f"--archive={tmp_path / 'site'}", f"--tables={tmp_path / 'tables'}", f"--server={secured.url}"]
    score = ["score", *places, "--deployment=tiny", "--workers=1", *fitted]
    assert main(score) == 1, "without TLS"
    files = {"ca": secured.authority.ca, "cert": secured.client.certificate, "key": secured.client.key}
    assert main(["plan", *score[1:5], *fitted, *(f"--tls-{name}={path}" for name, path in files.items())]) == 0
    for name, path in files.items():
        monkeypatch.setenv(f"STMAE_TLS_{name.upper()}", str(path))
    assert main(score) == 0
    assert list((tmp_path / "tables/coverage").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--server=127.0.0.1:9", "--tls-cert=a", "--tls-key=b"], "need --tls-ca"),
        (["--tls-ca=a"], "name it with --server"),
        (["--server=127.0.0.1:9", "--tls-ca=absent.pem"], "--tls-ca absent.pem: cannot be read"),
    ],
)
def test_bad_usage_is_told(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--archive=a", "--tables=b", *options]) == 2
    assert said in capsys.readouterr().err
