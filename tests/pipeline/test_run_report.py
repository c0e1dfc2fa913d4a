"""The report of the exit handler: after a run that succeeded, after one that failed, and on a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kubeflow import Api, serve
from runs import Run, run_pipeline, small

from components.report_run import report_run


def line(log: Path) -> dict[str, Any]:
    """Returns the one structured line of a run's log."""
    found = [text.strip() for text in log.read_text(encoding="utf-8").splitlines()]
    (one,) = (json.loads(text) for text in found if text.startswith("{") and '"event": "run"' in text)
    table: dict[str, Any] = one
    return table


def test_a_run_that_succeeded_says_so_with_its_steps_and_artifacts(finished: Run) -> None:
    folder = Path(finished.summary["run"])
    said = line(folder / "run.log")
    assert (said["state"], said["dataset"], said["failed"]) == ("SUCCEEDED", "walkway", [])
    assert {step["name"]: step["state"] for step in said["steps"]} == dict.fromkeys(
        (step for step in finished.summary["seconds_by_step"] if step != "report-run"), "SUCCEEDED"
    )
    assert Path(said["artifacts"], "evaluate", "evaluation", "evaluation.json").is_file()
    page = (folder / "run.md").read_text(encoding="utf-8")
    assert page.startswith("# stmae-train, walkway: SUCCEEDED\n")
    assert "| train-adversarial | SUCCEEDED |" in page


@pytest.mark.slow
def test_a_run_that_failed_names_the_step_and_its_error(tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, *small("train.learning_rate=1e30", "train.optimizer=adam"))
    assert run.returncode == 1
    assert run.stdout == ""
    (page,) = tmp_path.glob("runs/train/*/run.md")
    said = line(page.with_name("run.log"))
    assert said["state"] == "FAILED"
    assert said["failed"][0].startswith("pretrain-")
    assert "training diverged" in said["error"]
    assert "training diverged" in page.read_text(encoding="utf-8")
    assert f"| {said['failed'][0]} | FAILED |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("reachable", [True, False])
def test_on_a_cluster_kubeflow_is_asked_for_the_steps(reachable: bool, tmp_path: Path, capsys: Any) -> None:
    run = "3f0c"
    report = dsl.Markdown(uri=f"minio://mlpipeline/v2/artifacts/stmae-train/{run}/report-run/77/report")
    report.custom_path = str(tmp_path / "report")
    status = dsl.PipelineTaskFinalStatus(
        state="FAILED",
        pipeline_job_resource_name=run,
        pipeline_task_name="exit-handler-1",
        error_code=9,
        error_message="the tasks of exit-handler-1 failed",
    )
    with serve(Api) as server:
        task = {"display_name": "evaluate", "state": "FAILED", "error": {"code": 1, "message": "out of | memory"}}
        done = {"display_name": "export", "state": "SUCCEEDED"}
        driver = {"display_name": "export-driver", "state": "SUCCEEDED"}
        server.details = {"run_details": {"task_details": [task, done, driver]}}
        report_run.python_func(
            pipeline="stmae-train",
            dataset="gate",
            run=run,
            kubeflow_api=server.url if reachable else "http://127.0.0.1:1",
            status=status,
            report=report,
        )
    said = json.loads(capsys.readouterr().out)
    assert said["artifacts"] == f"minio://mlpipeline/v2/artifacts/stmae-train/{run}"
    page = (tmp_path / "report").read_text(encoding="utf-8")
    assert "the tasks of exit-handler-1 failed" in page
    if reachable:
        assert said["failed"] == ["evaluate"]
        assert "| evaluate | FAILED | out of \\| memory |" in page
        assert "driver" not in page
    else:
        assert said["steps"] == []
        assert "The steps are not known here" in page
