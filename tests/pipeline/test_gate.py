"""The gate before promotion: the comparison of two evaluations, and the component on a real models store."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kfp import dsl
from runs import Run

from components.gate import gate
from stmae.evaluation.fitting import fit_calibration, held_out_alerts
from stmae.evaluation.gate import compare, decide
from stmae.scoring import DETECTORS
from stmae.scoring.normality import FrameValues
from stmae.serving.models import current
from stmae.storage import open_store

CLIPS = [{"name": "01", "fps": 10.0, "frames": 26}]


def evaluation(auc: float | None = None, alerts: int | None = 4, hours: float = 48.0, **more: Any) -> dict[str, Any]:
    figures = {} if auc is None else {"combined_auc_micro_raw": auc}
    calibration = {"": {"hours": hours, "clips": 12, "alerts": alerts}}
    return {"name": "gate", "figures": figures, "calibration": calibration, "clips": CLIPS, **more}


def passes(candidate: dict[str, Any], served: dict[str, Any] | None) -> bool:
    return compare(candidate, served, scene="", auc_tolerance=0.02, alert_tolerance=0.5).passed


def test_the_first_version_passes() -> None:
    assert passes(evaluation(0.5), None)


@pytest.mark.parametrize(
    ("auc", "passed"), [(0.95, True), (0.90, True), (0.881, True), (0.879, False), (math.nan, False)]
)
def test_with_labels_the_auc_decides_with_its_tolerance(auc: float, passed: bool) -> None:
    assert passes(evaluation(auc, alerts=100), evaluation(0.90)) is passed


@pytest.mark.parametrize(("alerts", "passed"), [(0, True), (4, True), (6, True), (7, False)])
def test_without_labels_the_alert_rate_decides_with_its_tolerance(alerts: int, passed: bool) -> None:
    assert passes(evaluation(None, alerts), evaluation(None, 4)) is passed


def test_the_alert_rate_is_a_day_s_whatever_the_length_of_the_footage() -> None:
    assert passes(evaluation(None, 8, hours=96.0), evaluation(None, 4, hours=48.0))
    assert not passes(evaluation(None, 8, hours=24.0), evaluation(None, 8, hours=48.0))


def test_a_single_alert_is_no_rate() -> None:
    assert passes(evaluation(None, 1), evaluation(None, 0))
    assert not passes(evaluation(None, 2), evaluation(None, 0))


def test_labels_that_the_new_evaluation_lacks_leave_the_alert_rate() -> None:
    assert passes(evaluation(None, 4), evaluation(0.9, 4))
    assert not passes(evaluation(None, 40), evaluation(0.9, 4))
    assert not passes(evaluation(None, None), evaluation(0.9, 4))


def test_a_served_version_without_figures_is_no_bar() -> None:
    assert passes(evaluation(0.9), {})
    assert not passes(evaluation(None, None), {})


def test_the_reason_names_both_figures_and_says_if_they_are_of_other_clips() -> None:
    other = evaluation(0.90, clips=[*CLIPS, {"name": "02", "fps": 10.0, "frames": 26}])
    verdict = compare(evaluation(0.95), other, scene="", auc_tolerance=0.02, alert_tolerance=0.5)
    assert verdict.reason == "AUC 0.9500, served 0.9000, tolerance 0.02; of other test clips (1, served 2)"


def test_the_deployments_of_several_scenes_pass_together() -> None:
    scenes = {name: {"hours": 48.0, "clips": 12, "alerts": 4} for name in ("hall", "yard")}
    loud = {**scenes, "yard": {"hours": 48.0, "clips": 12, "alerts": 40}}
    served = {"gate-hall": evaluation(calibration=scenes), "gate-yard": evaluation(calibration=scenes)}
    for calibration, passed in ((scenes, True), (loud, False)):
        made = decide(evaluation(calibration=calibration), served.get, auc_tolerance=0.02, alert_tolerance=0.5)
        assert made.passed is passed
        assert [reason.split(":")[0] for reason in made.reasons] == ["gate-hall", "gate-yard"]
    assert "Not promoted" in made.to_markdown()


def noise(frames: int, seed: int) -> FrameValues:
    values = np.random.default_rng(seed).normal(0, 1, (frames, len(DETECTORS)))
    return FrameValues(values.astype(np.float32), np.zeros((frames, 16, 16), np.float32))


def test_alerts_are_counted_under_calibrations_that_have_not_seen_the_clip() -> None:
    fit = functools.partial(fit_calibration, fps=2.0, event_hours=1.0, min_seconds=0.5, merge_seconds=5.0)
    clips = [noise(3600, seed) for seed in range(4)]
    odd = noise(3600, 0)
    for start in range(100, 3600, 350):
        odd.values[start : start + 10, 0] += 12
    alerts = held_out_alerts(clips, fit), held_out_alerts([odd, *clips[1:]], fit)
    assert alerts[0] is not None
    assert alerts[1] is not None
    assert alerts[1] >= alerts[0] + 10, "each of the ten is an alert, though a calibration that saw them knows better"
    assert held_out_alerts(clips[:1], fit) is None


def run_gate(folder: Path, models: str, content: dict[str, Any]) -> tuple[bool, dsl.Markdown]:
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    report = dsl.Markdown(uri=str(folder / "report"))
    (passed,) = gate.python_func(
        evaluation=dsl.Artifact(uri=str(folder)), models=models, auc_tolerance=0.02, alert_tolerance=0.5, report=report
    )
    return passed, report


def test_a_worse_model_than_the_served_one_does_not_pass(finished: Run, tmp_path: Path) -> None:
    models = finished.summary["models"]
    served = current(open_store(models), "walkway")
    assert served is not None
    content = dict(served.evaluation)
    auc = content["figures"]["combined_auc_micro_raw"]
    worse = {**content, "figures": {**content["figures"], "combined_auc_micro_raw": auc - 0.05}}
    assert run_gate(tmp_path / "same", models, content)[0] is True
    passed, report = run_gate(tmp_path / "worse", models, worse)
    assert passed is False
    assert f"served {auc:.4f}" in report.metadata["reasons"][0]
    assert "Not promoted" in Path(report.path).read_text(encoding="utf-8")


def test_the_first_run_was_promoted_and_says_why(finished: Run) -> None:
    assert finished.summary["promoted"] is True
    assert finished.summary["gate"] == ["walkway: nothing was served before"]
    evaluation = json.loads(Path(finished.summary["evaluation"]).read_text(encoding="utf-8"))
    assert evaluation["calibration"][""]["alerts"] >= 0
