"""Credentials that S3 refuses end a run with what mends it; nothing is marked as done that was not read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jobs
import pytest
from depots import SECOND, Depot
from nights import Night, bytes_of, covered
from proxy import Exchange, Fault, refuse


def forge(exchange: Exchange) -> None:
    """Hands on a request whose signature the server has to refuse."""
    exchange.headers.replace_header("Authorization", f"{exchange.headers['Authorization'][:-4]}beef")
    exchange.reply(exchange.pass_on())


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        pytest.param(
            refuse(403, "ExpiredToken"),
            "the credentials have expired; renew them",
            marks=pytest.mark.fault("credentials for S3 that expire in mid-run"),
            id="expire",
        ),
        pytest.param(
            forge,
            "check AWS_ACCESS_KEY_ID",
            marks=pytest.mark.fault("credentials for S3 that are revoked in mid-run"),
            id="revoked",
        ),
    ],
)
def test_credentials_that_end_in_mid_run_end_it_and_new_ones_complete_it(
    night: Night,
    depot: Depot,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    mend: str,
) -> None:
    depot.proxy.spoil_from(SECOND, fault)
    assert jobs.run(night, depot.site, tmp_path) == 1
    said = capsys.readouterr().err
    assert "access denied" in said
    assert mend in said
    assert {row["status"] for row in covered(tmp_path)} == {"scored"}
    depot.proxy.heal()
    assert jobs.run(night, depot.site, tmp_path) == 0
    assert bytes_of(tmp_path) == undisturbed


@pytest.mark.fault("a clock that is hours behind that of S3")
def test_a_clock_that_is_wrong_is_named_and_nothing_is_written(
    night: Night,
    depot: Depot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def hours_ago(remove_tzinfo: bool = True) -> datetime:
        now = datetime.now(UTC) - timedelta(hours=3)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    monkeypatch.setattr("botocore.auth.get_current_datetime", hours_ago)
    assert jobs.run(night, depot.site, tmp_path / "tables") == 1
    assert "the clock of this machine differs from the server's; set it, then run again" in capsys.readouterr().err
    assert not (tmp_path / "tables").exists()
