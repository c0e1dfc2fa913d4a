"""Alerts in Prometheus' own engine: each fires when it should, and is silent before and after."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import rendered

NIGHT = 'namespace="stmae", job_name="stmae-night-{}"'
FIRST, SECOND = (NIGHT.format(number) for number in (1, 2))
MODEL = 'namespace="stmae", pod="triton-1", model="gate_decode"'

CASES: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    # alert: (series from 0 on, a value a minute, when it fires, when it is silent)
    "StmaeNightFailed": (
        {
            'kube_namespace_created{namespace="stmae"}': "0x3000",
            f"kube_job_status_start_time{{{FIRST}}}": "3600x3000",
            f'kube_job_failed{{{FIRST}, condition="true"}}': "0x600 1x2400",
            # The next night succeeds, at 30 hours.
            f"kube_job_status_start_time{{{SECOND}}}": "_x1500 90000x1500",
            f"kube_job_status_completion_time{{{SECOND}}}": "_x1799 108000x1200",
        },
        ["11h", "29h"],
        ["9h", "31h"],
    ),
    "StmaeNightMissing": (
        {
            'kube_namespace_created{namespace="stmae"}': "0x6000",
            f"kube_job_status_completion_time{{{FIRST}}}": "_x1199 72000x2400",
            f"kube_job_status_completion_time{{{SECOND}}}": "_x3000 180000x3000",
        },
        ["47h"],
        ["25h", "45h", "55h"],
    ),
    "StmaeArchiveLag": (
        # A night that leaves nothing follows one that leaves two days.
        {
            'stmae_batch_archive_lag_seconds{namespace="stmae", pod="a"}': "180000x60 _x3000",
            'stmae_batch_archive_lag_seconds{namespace="stmae", pod="b"}': "_x1400 0x60 _x1500",
        },
        ["2h", "20h"],
        ["24h"],
    ),
    "StmaeSourcesUnread": (
        {
            'stmae_batch_sources_total{namespace="stmae", pod="a", status="scored"}': "0+1x60 _x3000",
            'stmae_batch_sources_total{namespace="stmae", pod="a", status="undecodable"}': "0x30 2x30 _x3000",
        },
        ["1h", "20h"],
        ["20m", "26h"],
    ),
    "StmaeNoScores": (
        {
            'stmae_batch_frames_scored_total{namespace="stmae", pod="a", deployment="gate"}': "0+100x60 6000x300",
            'stmae_batch_work_left_bytes{namespace="stmae", pod="a"}': "5000x300 0x60",
        },
        ["3h"],
        ["1h", "85m", "6h"],
    ),
    "StmaeNoScores, of a whole night": (
        {
            'stmae_batch_frames_scored_total{namespace="stmae", pod="a", deployment="gate"}': "0x60 _x3000",
            'stmae_batch_work_left_bytes{namespace="stmae", pod="a"}': "0x60 _x3000",
            'stmae_batch_sources_total{namespace="stmae", pod="a", status="undecodable"}': "0x10 7x50 _x3000",
        },
        ["10h"],
        ["20m", "27h"],
    ),
    "StmaeTritonQueue": (
        {
            f"nv_inference_queue_duration_us{{{MODEL}}}": "0+3000000x60 180000000+600000000x60",
            f"nv_inference_request_success{{{MODEL}}}": "0+60x60 3600+60x60",
        },
        ["100m"],
        ["30m", "60m"],
    ),
    "StmaeModelUnhealthy": (
        {'stmae_models_healthy{namespace="stmae", pod="triton-1", deployment="gate"}': "1x60 0x60 1x60"},
        ["70m"],
        ["50m", "63m", "150m"],
    ),
    "StmaeModelSyncFailing": (
        # Two attempts fail at each start; later every attempt, two a minute.
        {'stmae_models_sync_failures_total{namespace="stmae", pod="triton-1"}': "0 1 2x60 2+2x60"},
        ["80m"],
        ["20m", "60m"],
    ),
    "StmaeGpuMemory": (
        {
            'nv_gpu_memory_used_bytes{namespace="stmae", pod="triton-1"}': "90x30 97x60",
            'nv_gpu_memory_total_bytes{namespace="stmae", pod="triton-1"}': "100x120",
        },
        ["50m"],
        ["20m", "35m"],
    ),
}


@pytest.fixture(scope="module")
def alerts() -> dict[str, Any]:
    rules = rendered("prod").of("PrometheusRule")
    return {alert["alert"]: alert for rule in rules for group in rule.get("spec.groups") for alert in group["rules"]}


def test_every_alert_has_a_case(alerts: dict[str, Any]) -> None:
    assert {case.partition(",")[0] for case in CASES} == set(alerts)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_when_it_should(alerts: dict[str, Any], tmp_path: Path, case: str) -> None:
    series, firing, silent = CASES[case]
    alert = case.partition(",")[0]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "stmae", "rules": [alerts[alert]]}]}))
    count = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": count, "eval_time": when, "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
            for times, fires in ((firing, True), (silent, False))
            for when in times
        ],
    }
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    command = ["promtool", "test", "rules", "tests.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
