"""Trouble of the server is no property of a video: nothing is marked done, and the message says what to do."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nights import GOOD, UNITS, Night, bytes_of, covered

from stmae.batch import worker as work
from stmae.batch.unit_stream import UnitStream
from stmae.serving.client import Client, ServingError
from stmae.serving.connection import Connection
from stmae.serving.repository import write_repository
from stmae.serving.triton.launcher import EmbeddedTriton


@pytest.mark.fault("no Triton")
def test_without_a_server_nothing_is_written(night: Night, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"127\.0\.0\.1:9.*no Triton answers"):
        dataclasses.replace(night, server_url="127.0.0.1:9").score(archive, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


@pytest.mark.fault("no model in Triton")
def test_without_the_model_nothing_is_written(night: Night, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="'nobody' is not served there"):
        dataclasses.replace(night, deployment="nobody").score(archive, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("text", ["{}", "no json"])
def test_a_calibration_that_is_none_is_refused(night: Night, archive: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ValueError, match=r"calibration\.json: not a calibration"):
        night.score(archive, tmp_path / "tables", calibration=str(tmp_path / "calibration.json"))
    with pytest.raises(OSError, match=r"absent\.json: no such file; publish the deployment"):
        night.score(archive, tmp_path / "tables", normality=str(tmp_path / "absent.json"))


@pytest.mark.fault("Triton ends in mid-run")
def test_a_server_that_dies_in_mid_run_leaves_the_rest_for_the_next_run(
    triton_server: Any,
    triton_runtime: Path,
    night: Night,
    archive: Path,
    scored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "PATIENCE_SECONDS", 0.5)
    read, asked = UnitStream.scored, 0
    with EmbeddedTriton(triton_server.repository, runtime=triton_runtime) as server:

        def stop_before_the_third(stream: UnitStream) -> Any:
            nonlocal asked
            asked += 1
            if asked == 3:
                server.__exit__(None, None, None)
            return read(stream)

        with monkeypatch.context() as patch:
            patch.setattr(UnitStream, "scored", stop_before_the_third)
            summary = dataclasses.replace(night, server_url=server.grpc_url).score(archive, tmp_path)
    assert (summary.sources_scored, summary.sources_failed) == (3, len(GOOD) - 3)
    assert "no Triton answers" in summary.message()
    assert "2 left for the next run" in summary.message()
    assert len(covered(tmp_path)) == 3
    assert night.score(archive, tmp_path).sources_scored == len(GOOD) - 3
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.fault("Triton is away for a moment")
def test_a_server_that_is_away_for_a_moment_is_asked_again(
    night: Night, archive: Path, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, left = Connection.receive, 2

    def away_twice(connection: Connection, request: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise ServingError("unavailable", "no Triton answers")
        return receive(connection, request)

    monkeypatch.setattr(Connection, "receive", away_twice)
    summary = night.score(archive, tmp_path)
    assert summary.complete
    assert summary.attempts == UNITS + 2
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.fault("a model that is published anew in mid-run")
@pytest.mark.parametrize(("answers", "scored"), [(3, 2), (2, 0)], ids=["between two hours", "within an hour"])
def test_a_model_published_in_mid_run_ends_it(
    night: Night, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int, scored: int
) -> None:
    describe, asked = Client.describe, 0

    def another_after_some(client: Client) -> Any:
        nonlocal asked
        asked += 1
        answer = describe(client)
        return answer if asked <= answers else dataclasses.replace(answer, digest="0" * 64)

    monkeypatch.setattr(Client, "describe", another_after_some)
    summary = night.score(archive, tmp_path)
    assert (summary.sources_scored, summary.complete) == (scored, False)
    assert "published anew during the run" in summary.message()


@pytest.mark.fault("a model that answers NaN")
def test_a_broken_model_that_answers_no_numbers_is_named_and_ends_the_run(
    tiny_export: Any, triton_runtime: Path, night: Night, archive: Path, tmp_path: Path
) -> None:
    from stmae.export.graphs import export

    broken = copy.deepcopy(tiny_export.model)
    broken.decoder.output.weight.data.fill_(float("nan"))
    size = tiny_export.config.model.frame_size
    export(tiny_export.config, broken, tmp_path / "export", np.zeros((7, size, size, 3), np.uint8))
    write_repository(tmp_path / "export", tmp_path / "repository")
    with EmbeddedTriton(tmp_path / "repository", runtime=triton_runtime) as server:
        summary = dataclasses.replace(night, server_url=server.grpc_url).score(archive, tmp_path / "tables")
    assert (summary.sources_scored, summary.complete) == (0, False)
    assert "psnr: not finite: the model is broken; train and publish it again" in summary.failures[0]
    assert len(summary.failures) == 1, "every other source would meet the same"
    assert not list((tmp_path / "tables").glob("coverage/**/*.parquet"))
