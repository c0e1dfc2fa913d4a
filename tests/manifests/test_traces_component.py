"""Traces in a cluster: no overlay has them, and each one that names the component sends them to the site's receiver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rendering import MANIFESTS, OVERLAYS, rendered

from k8s.check.__main__ import checks
from k8s.check.overlay import Overlay
from k8s.check.pods import pods
from k8s.check.render import render

COLLECTOR = {"valueFrom": {"configMapKeyRef": {"name": "stmae-traces", "key": "endpoint"}}}


def traced(overlay: Overlay) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the containers that are told where the receiver is, with the variable that tells them."""
    for pod in pods(overlay):
        for container in pod.containers():
            for variable in container.body.get("env", ()):
                if {"valueFrom": variable.get("valueFrom")} == COLLECTOR:
                    yield variable["name"], container.body


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_with_the_component_traces_from_the_night_to_triton(name: str, tmp_path: Path) -> None:
    assert not list(traced(rendered(name)))
    root = Path(shutil.copytree(MANIFESTS, tmp_path / "k8s"))
    file = root / "overlays" / name / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("  - ../../images\n", "  - ../../components/traces\n  - ../../images\n"))
    overlay = render(root, name)

    assert [str(check) for check in checks(overlay) if check.wrong] == []
    told = {container["name"]: (variable, container) for variable, container in traced(overlay)}
    triton, *night = sorted(told, key=lambda name: name not in ("triton", "kserve-container"))
    assert night in (["score"], ["ray-head", "ray-worker"])
    assert {told[name][0] for name in night} == {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert "--trace-config=opentelemetry,url=$(COLLECTOR)/v1/traces" in told[triton][1]["args"]
    assert "--trace-config=mode=opentelemetry" in told[triton][1]["args"]
    receiver = overlay.find("ConfigMap", "stmae-traces")
    assert receiver is not None
    assert receiver.get("data.endpoint") == "http://collector.monitoring:4318"
