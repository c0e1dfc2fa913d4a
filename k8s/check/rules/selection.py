"""What selects pods must find some: workloads, services, budgets, monitors, autoscalers."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from k8s.check.overlay import Check, Overlay
from k8s.check.pods import Pod, pods
from k8s.check.selector import selects

ADAPTER = "base/monitoring/adapter-values.yaml"


def workloads(overlay: Overlay) -> Iterator[Check]:
    """Checks that a workload selects its own pods, and spreads them by labels that they have."""
    for pod in pods(overlay):
        selector = pod.document.get("spec.selector")
        if selector is not None:
            good = selects(selector, pod.labels)
            yield pod.document.check(
                "spec.selector", good, f"does not select its own pods, labelled {dict(pod.labels)}"
            )
        for number, spread in enumerate(pod.spec.get("topologySpreadConstraints", ())):
            good = selects(spread.get("labelSelector", {}), pod.labels)
            yield pod.check(f"topologySpreadConstraints.{number}.labelSelector", good, "does not select these pods")


def services(overlay: Overlay) -> Iterator[Check]:
    """Checks that a service finds pods, and its ports are ports of theirs; a disruption budget likewise."""
    for service in overlay.of("Service"):
        chosen = _chosen({"matchLabels": service.get("spec.selector", {})}, overlay)
        yield service.check("spec.selector", bool(chosen), "selects no pod; give it the labels of one")
        for number, port in enumerate(service.get("spec.ports", [])):
            target = port.get("targetPort", port["port"])
            good = all(target in pod.ports() or target in pod.ports().values() for pod in chosen)
            wrong = f"{target} is no port of the pods; they have {_listed(chosen)}"
            yield service.check(f"spec.ports.{number}.targetPort", good, wrong)
    for budget in overlay.of("PodDisruptionBudget"):
        found = _chosen(budget.get("spec.selector", {}), overlay)
        yield budget.check("spec.selector", bool(found), "selects no pod; give it the labels of one")


def monitors(overlay: Overlay) -> Iterator[Check]:
    """Checks that a monitor finds pods, and that its ports are theirs."""
    for monitor in overlay.of("PodMonitor"):
        chosen = _chosen(monitor.get("spec.selector", {}), overlay)
        yield monitor.check("spec.selector", bool(chosen), "selects no pod; give it the labels of one")
        for number, endpoint in enumerate(monitor.get("spec.podMetricsEndpoints", [])):
            # Of the pods of a Ray cluster only the head has the job's metrics.
            good = any(endpoint.get("port") in pod.ports() for pod in chosen)
            wrong = f"{endpoint.get('port')} is no port of the pods; they have {_listed(chosen)}"
            yield monitor.check(f"spec.podMetricsEndpoints.{number}.port", good, wrong)


def scaling(overlay: Overlay) -> Iterator[Check]:
    """Checks that an autoscaler's target is there, and that the Prometheus adapter makes its metric."""
    # KServe makes a Deployment of an InferenceService.
    targets = {("Deployment", name) for name in overlay.names("Deployment")}
    targets |= {("Deployment", f"{name}-predictor") for name in overlay.names("InferenceService")}
    rules = yaml.safe_load((overlay.root / ADAPTER).read_text())["rules"]["custom"]
    made = {rule["name"]["as"] for rule in rules}
    for scaler in overlay.of("HorizontalPodAutoscaler"):
        kind, name = scaler.get("spec.scaleTargetRef.kind"), scaler.get("spec.scaleTargetRef.name")
        wrong = f"there is no {kind} {name}; there are {', '.join(sorted(each for _, each in targets))}"
        yield scaler.check("spec.scaleTargetRef.name", (kind, name) in targets, wrong)
        good = scaler.get("spec.minReplicas", 1) <= scaler.get("spec.maxReplicas", 0)
        yield scaler.check("spec.maxReplicas", good, "is below minReplicas; raise it")
        for number, metric in enumerate(scaler.get("spec.metrics", [])):
            named = metric.get("pods", {}).get("metric", {}).get("name")
            if named:
                wrong = f"{named} is not made by {ADAPTER}, which makes {', '.join(sorted(made))}"
                yield scaler.check(f"spec.metrics.{number}.pods.metric.name", named in made, wrong)


def _chosen(selector: dict[str, dict[str, str]], overlay: Overlay) -> list[Pod]:
    """Returns the pods that a selector finds; an empty one is meant to find none."""
    return [pod for pod in pods(overlay) if any(selector.values()) and selects(selector, pod.labels)]


def _listed(chosen: list[Pod]) -> str:
    return ", ".join(sorted({f"{name}={port}" for pod in chosen for name, port in pod.ports().items()})) or "none"
