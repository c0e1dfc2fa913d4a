"""The committed manifests: every overlay passes every check, and what was promised of it is there."""

from __future__ import annotations

import pytest
from rendering import MANIFESTS, OVERLAYS, rendered

from k8s.check.__main__ import checks
from k8s.check.pods import pods
from k8s.check.promql import OWN
from k8s.check.rules import RULES
from k8s.check.rules.values import site


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_committed_overlay_passes_every_check(name: str) -> None:
    found = list(checks(rendered(name)))
    assert [str(check) for check in found if check.wrong] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}")
def test_every_rule_looks_at_something(rule: object) -> None:
    assert any(list(rule(rendered(name))) for name in OVERLAYS)  # type: ignore[operator]


def test_the_committed_values_of_a_site_pass() -> None:
    found = list(site(MANIFESTS))
    assert found
    assert [str(check) for check in found if check.wrong] == []


def test_the_overlays_are_those_that_are_documented() -> None:
    page = (MANIFESTS / "README.md").read_text(encoding="utf-8")
    assert {"local", "prod", "ray"} <= set(OVERLAYS)
    assert [name for name in OVERLAYS if f"`overlays/{name}`" not in page] == []


def test_metrics_that_alerts_may_name_are_those_of_the_nightly_job() -> None:
    metrics = pytest.importorskip("stmae.batch.metrics")
    assert set(metrics.METRICS) == {name for name in OWN if name.startswith("stmae_batch_")}


def test_local_needs_neither_gpu_nor_tls_and_mounts_on_one_node() -> None:
    overlay = rendered("local")
    assert "nvidia.com/gpu" not in str([pod.spec for pod in pods(overlay)])
    assert "stmae-tls" not in str([pod.spec for pod in pods(overlay)])
    modes = [claim.get("spec.accessModes") for claim in overlay.of("PersistentVolumeClaim")]
    assert modes == [["ReadWriteOnce"], ["ReadWriteOnce"]]


def test_prod_serves_on_gpus_with_mutual_tls_and_protected_model_control() -> None:
    triton = rendered("prod").find("Deployment", "triton")
    assert triton is not None
    (container,) = triton.get("spec.template.spec.containers")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"--grpc-use-ssl-mutual=true", "--allow-http=false", "--model-control-mode=explicit"} <= set(
        container["args"]
    )
    assert any(text.startswith("--grpc-restricted-protocol=model-repository") for text in container["args"])
    assert {"PodDisruptionBudget", "HorizontalPodAutoscaler"} <= {each.kind for each in rendered("prod").documents}


def test_triton_is_asked_for_its_health_by_inference() -> None:
    for name in OVERLAYS:
        (pod,) = (pod for pod in pods(rendered(name)) if pod.labels.get("app.kubernetes.io/name") == "triton")
        (server,) = (each.body for each in pod.containers() if each.name in ("triton", "kserve-container"))
        asked = {server[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert asked == {"/ready", "/live"}
        assert {server[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} == {8080}
        sidecar = next(each for each in pod.containers() if each.name == "models")
        assert sidecar.long_running
        assert "--health=8080" in sidecar.body["args"]


def test_triton_has_the_time_to_end_that_it_takes() -> None:
    for name in OVERLAYS:
        (pod,) = (pod for pod in pods(rendered(name)) if pod.labels.get("app.kubernetes.io/name") == "triton")
        (server,) = (each.body for each in pod.containers() if each.name in ("triton", "kserve-container"))
        (timeout,) = (int(word.partition("=")[2]) for word in server["args"] if word.startswith("--exit-timeout-secs="))
        before = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert before > 0
        assert before + timeout < pod.spec["terminationGracePeriodSeconds"]


def test_ray_has_the_night_as_a_ray_job_in_place_of_the_cron_job() -> None:
    overlay = rendered("ray")
    assert overlay.names("RayJob") == {"stmae-night"}
    assert overlay.names("CronJob") == {"stmae-compact", "stmae-start"}
    night = overlay.find("RayJob", "stmae-night")
    assert night is not None
    assert night.get("spec.suspend") is True
    # Kueue starts what is in a queue; only the copies are.
    assert "kueue.x-k8s.io/queue-name" not in night.get("metadata.labels")


def test_a_row_of_a_run_names_the_image_that_made_it() -> None:
    for name in OVERLAYS:
        for pod in pods(rendered(name)):
            for container in pod.containers():
                for variable in container.body.get("env", ()):
                    if variable["name"] == "STMAE_IMAGE_DIGEST":
                        assert container.body["image"].endswith(f"@{variable['value']}")
