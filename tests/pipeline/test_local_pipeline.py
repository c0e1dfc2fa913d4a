"""The training pipeline on this machine, from footage to a published model, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import ROOT, Run, run_pipeline, small

from components.evaluate import evaluate
from pipelines.local import new_folder
from pipelines.steps import StepLog
from stmae.scoring.calibration import Calibration
from stmae.storage.document import from_json
from stmae.training.estimate import Estimate

STEPS = {
    "resolve-config",
    "prepare-dataset",
    "extract-flow",
    "pretrain-appearance",
    "pretrain-motion",
    "train-adversarial",
    "evaluate",
    "export",
    "gate",
    "publish",
    "report-run",
}


def test_the_last_line_of_stdout_is_the_summary_and_its_copy_is_the_latest(finished: Run) -> None:
    summary = Path(finished.stdout.splitlines()[-1])
    assert finished.stdout.splitlines() == [str(summary)]
    assert summary == Path(finished.summary["run"]) / "summary.json"
    latest = finished.workspace / "runs" / "train" / "latest-walkway.json"
    assert latest.read_bytes() == summary.read_bytes()


def test_every_step_ran_and_was_timed(finished: Run) -> None:
    seconds = finished.summary["seconds_by_step"]
    assert seconds.keys() == STEPS
    assert all(value > 0 for value in seconds.values())
    steps = [line.split()[0] for line in finished.stderr.splitlines() if not line.startswith("training takes about")]
    assert steps == list(seconds), "one line a step on stderr, and the estimate"


def test_the_summary_names_what_was_made(finished: Run) -> None:
    summary = finished.summary
    assert (summary["config"], list(summary["deployments"])) == ("walkway", ["walkway"])
    assert Path(summary["repository"]) == finished.workspace / "model_repository"
    evaluation = json.loads(Path(summary["evaluation"]).read_text(encoding="utf-8"))
    assert summary["figures"] == evaluation["figures"]
    assert 0 <= summary["figures"]["combined_auc_micro_raw"] <= 1
    assert summary["figures"]["frames"] == 2 * (30 - 4)
    calibration = from_json(Calibration, Path(summary["deployments"]["walkway"]).read_text(encoding="utf-8"))
    assert calibration.hours == pytest.approx(3 * 26 / 10 / 3600)  # of two splits


def test_the_report_is_one_page_that_requests_nothing(finished: Run) -> None:
    page = Path(finished.summary["evaluation_report"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '<th scope="row">Combined</th>' in page
    assert "http://" not in page
    assert "https://" not in page
    assert finished.artifact("evaluate", "report").read_text(encoding="utf-8") == page


def test_the_steps_leave_their_artifacts(finished: Run) -> None:
    for step, name, file in (
        ("prepare-dataset", "dataset", "manifest.json"),
        ("pretrain-appearance", "appearance", "model.safetensors"),
        ("pretrain-motion", "motion", "model.safetensors"),
        ("train-adversarial", "model", "model.safetensors"),
        ("evaluate", "evaluation", "scores.npz"),
        ("export", "onnx", "export.json"),
    ):
        assert (finished.artifact(step, name) / file).is_file(), (step, file)


def test_the_interface_gets_roc_and_figures(finished: Run) -> None:
    outputs = finished.artifact("evaluate", "executor_output.json")
    artifacts = json.loads(outputs.read_text(encoding="utf-8"))["artifacts"]
    metadata = {name: value["artifacts"][0]["metadata"] for name, value in artifacts.items()}
    assert metadata["metrics"] == pytest.approx(finished.summary["figures"])
    points = metadata["roc"]["confidenceMetrics"]
    assert 2 <= len(points) <= 200
    assert points[0]["recall"] == 0
    assert points[-1]["recall"] == 1
    assert all(abs(point["confidenceThreshold"]) < 1e9 for point in points), "JSON has no infinity"


def test_the_model_is_published_with_its_calibration(finished: Run) -> None:
    repository = Path(finished.summary["repository"])
    models = {path.name for path in repository.iterdir() if (path / "config.pbtxt").is_file()}
    assert models == {"flow", "psnr", "walkway", "walkway_encode", "walkway_decode"}
    calibration = Path(finished.summary["deployments"]["walkway"])
    assert (repository / "walkway" / "calibration.json").read_bytes() == calibration.read_bytes()
    normality = calibration.with_name("normality.json")
    assert (repository / "walkway" / "normality.json").read_bytes() == normality.read_bytes()


@pytest.mark.parametrize("pipeline", ["train", pytest.param("effects", marks=pytest.mark.slow)])
def test_a_failing_step_is_named_with_its_error_and_what_was_kept(pipeline: str, tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, "--pipeline", pipeline, "--data-root", str(tmp_path / "nowhere"), config="ped2-cpu")
    assert run.returncode == 1
    assert "step prepare-dataset failed" in run.stderr
    assert str(tmp_path / "nowhere") in run.stderr
    assert "run.log" in run.stderr
    assert run.stdout == ""
    assert not list(tmp_path.glob("runs/*/latest-*"))


@pytest.mark.slow
def test_steps_that_finished_before_a_failure_are_kept(tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, *small("train.learning_rate=1e30"))
    assert run.returncode == 1
    error, kept = run.stderr.split("kept: ")
    assert "failed" in error
    assert "training diverged" in error
    assert "prepare-dataset" in kept
    assert list(tmp_path.glob("runs/train/*/stmae-train-*/prepare-dataset/dataset/manifest.json"))


def test_an_unknown_configuration_key_is_bad_usage(tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, "--set", "model.sise=64")
    assert run.returncode == 2
    assert "did you mean 'size'?" in run.stderr
    assert not (tmp_path / "runs").exists()


def test_an_unknown_dataset_is_bad_usage(tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, config="pad2")
    assert run.returncode == 2
    assert "ped2" in run.stderr


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = run_pipeline(tmp_path / "file", *small())
    assert run.returncode == 1
    assert f"workspace {tmp_path / 'file'} cannot be written" in run.stderr
    assert "Traceback" not in run.stderr


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {new_folder(tmp_path, "walkway") for _ in range(5)}
    assert len(folders) == 5


def test_a_step_that_was_killed_says_so(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, (tmp_path / "terminal").open("w") as terminal:
        steps = StepLog(log, terminal)
        steps.write("12:00:00.000 - INFO - Executing task \x1b[96m'train-adversarial'\x1b[0m\n    step 3 of 9\n")
        steps.write("12:01:00.000 - INFO - Task 'train-adversarial' finished with status \x1b[91mFAILURE\x1b[0m\n")
    assert steps.failed == "train-adversarial"
    assert "step 3 of 9" in steps.error()
    assert "out of memory" in steps.error()


def test_the_estimate_of_the_training_stays_on_the_terminal(tmp_path: Path) -> None:
    said = str(Estimate(flow=180, pretraining=120, adversarial=540, steps=2000))
    with (tmp_path / "log").open("w") as log, (tmp_path / "terminal").open("w") as terminal:
        steps = StepLog(log, terminal)
        steps.write("12:00:00.000 - INFO - Executing task \x1b[96m'extract-flow'\x1b[0m\n")
        steps.write(f"    {said}\n    something else\n")
        steps.write("12:01:00.000 - INFO - Task 'extract-flow' finished with status \x1b[92mSUCCESS\x1b[0m\n")
    shown = (tmp_path / "terminal").read_text().splitlines()
    assert shown[0] == said
    assert len(shown) == 2
    assert shown[1].startswith("extract-flow ")


def test_components_import_the_library_only_when_they_run() -> None:
    for path in sorted((ROOT / "components").glob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        assert all("stmae" not in line for line in imports), path
        assert "from __future__ import annotations" not in lines, f"{path}: kfp cannot read such a file"
    assert callable(evaluate.python_func)
