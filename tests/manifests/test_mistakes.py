"""Mistakes in manifests: the rule meant for each one catches it, and names document, field and mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rendering import REMOVED, altered

from k8s.check import pods, schema
from k8s.check.overlay import Check, Overlay
from k8s.check.rules import (
    alerts,
    containers,
    dashboard,
    kinds,
    network,
    references,
    schedules,
    security,
    selection,
    values,
)

Rule = Callable[[Overlay], Iterator[Check]]
TRITON, POD, SERVER = "Deployment/triton", "spec/template/spec", "spec/template/spec/containers/0"
NIGHT, JOB, SCORE = (
    "CronJob/stmae-night",
    "spec/jobTemplate/spec",
    "spec/jobTemplate/spec/template/spec/containers/0",
)
EXPRESSION = "spec/groups/0/rules/0/expr"
HOLLOW = "registry.example/stmae-triton@sha256:" + "0" * 64

# fmt: off
MISTAKES: dict[str, tuple[Rule, str, str, str, Any, str, str]] = {
    # name: (rule, overlay, document, field, value, the field that the message names, words of the mend)
    "root": (security.restricted, "prod", TRITON, f"{POD}/securityContext/runAsUser", 0, "runAsUser", "not root's"),
    "user without a number": (
        security.restricted, "prod", TRITON, f"{POD}/securityContext/runAsUser", REMOVED, "runAsUser",
        "name a number",
    ),
    "root allowed": (
        security.restricted, "local", NIGHT, f"{JOB}/template/spec/securityContext/runAsNonRoot", False,
        "runAsNonRoot", "set it to true",
    ),
    "writable root": (
        security.restricted, "prod", TRITON, f"{SERVER}/securityContext/readOnlyRootFilesystem", False,
        "readOnlyRootFilesystem", "write to volumes",
    ),
    "capabilities": (
        security.restricted, "prod", TRITON, f"{SERVER}/securityContext/capabilities", {"drop": ["NET_RAW"]},
        "capabilities.drop", "drop [ALL]",
    ),
    "escalation": (
        security.restricted, "ray", "RayJob/stmae-night",
        "spec/rayClusterSpec/headGroupSpec/template/spec/containers/0/securityContext/allowPrivilegeEscalation", True,
        "allowPrivilegeEscalation", "set it to false",
    ),
    "seccomp": (
        security.restricted, "kserve", "InferenceService/stmae", "spec/predictor/securityContext/seccompProfile",
        REMOVED, "seccompProfile.type", "set RuntimeDefault",
    ),
    "host path": (
        security.restricted, "local", TRITON, f"{POD}/volumes/0", {"name": "models", "hostPath": {"path": "/"}},
        "volumes[models]", "remove hostPath",
    ),
    "default account": (
        security.accounts, "prod", TRITON, f"{POD}/serviceAccountName", "default", "serviceAccountName",
        "stmae-triton",
    ),
    "token": (
        security.accounts, "prod", NIGHT, f"{JOB}/template/spec/automountServiceAccountToken", REMOVED,
        "automountServiceAccountToken", "set it to false",
    ),
    "wide role": (security.accounts, "prod", "Role/stmae-pipeline", "rules/0/verbs", ["*"], "rules.0", "not *"),
    "no limit": (
        containers.resources, "prod", NIGHT, f"{SCORE}/resources/limits/memory", REMOVED, "limits.memory", "how much",
    ),
    "request above limit": (
        containers.resources, "prod", NIGHT, f"{SCORE}/resources/requests/memory", "1Ti", "limits.memory", "below",
    ),
    "no probe": (
        containers.probes, "prod", TRITON, f"{SERVER}/livenessProbe", REMOVED, "livenessProbe", "is missing",
    ),
    "sidecar without a probe": (
        containers.probes, "prod", TRITON, f"{POD}/initContainers/1/readinessProbe", REMOVED, "readinessProbe",
        "missing",
    ),
    "probe at no port": (
        containers.probes, "prod", TRITON, f"{SERVER}/livenessProbe/httpGet/port", 8081, "httpGet.port", "8081",
    ),
    "image by tag": (
        containers.images, "prod", TRITON, f"{SERVER}/image", "registry.example/stmae-triton:1", "image",
        "make images",
    ),
    "short digest": (
        containers.images, "prod", TRITON, f"{SERVER}/image", "registry.example/stmae-triton@sha256:abc", "image",
        "abc",
    ),
    "hollow digest": (containers.images, "prod", TRITON, f"{SERVER}/image", HOLLOW, "image", "make images"),
    "unset variable": (
        containers.environment, "prod", NIGHT, f"{SCORE}/args/1", "--archive=$(FOOTAGE)", "args.1", "$(FOOTAGE)",
    ),
    "variable used too early": (
        containers.environment, "prod", NIGHT, f"{SCORE}/env/0", {"name": "A", "value": "$(TABLES)"}, "env[A]",
        "before",
    ),
    "a sidecar first": (
        containers.order, "prod", TRITON, f"{POD}/initContainers/2", {"name": "late"}, "initContainers", "a sidecar",
    ),
    "no time to end": (
        containers.shutdown, "prod", TRITON, f"{POD}/terminationGracePeriodSeconds", 60,
        "terminationGracePeriodSeconds", "10 + 60",
    ),
    "bad name": (
        kinds.names, "prod", "ServiceAccount/stmae-batch", "metadata/name", "Stmae_Batch", "metadata.name",
        "RFC 1123",
    ),
    "other namespace": (
        kinds.names, "prod", TRITON, "metadata/namespace", "default", "metadata.namespace", "everything is in stmae",
    ),
    "long name of a port": (
        kinds.names, "prod", TRITON, f"{SERVER}/ports/0/name", "remote-procedure-calls", "ports", "remote-procedure",
    ),
    "bad label": (
        kinds.names, "prod", TRITON, "metadata/labels/team", "video & co", "labels[team]", "no value of a label",
    ),
    "concurrency": (
        kinds.enumerations, "prod", NIGHT, "spec/concurrencyPolicy", "Never", "concurrencyPolicy", "Forbid, Replace",
    ),
    "restart policy": (
        kinds.enumerations, "prod", NIGHT, f"{JOB}/template/spec/restartPolicy", "Always", "restartPolicy", "CronJob",
    ),
    "action": (
        kinds.enumerations, "prod", NIGHT, f"{JOB}/podFailurePolicy/rules/0/action", "Fail", "action", "FailJob",
    ),
    "quantity": (
        kinds.quantities, "prod", TRITON, f"{SERVER}/resources/limits/memory", "8 GB", "limits.memory", "500m or 4Gi",
    ),
    "unknown field": (
        schema.valid, "prod", TRITON, f"{POD}/restartpolicy", "Always", "spec.template.spec", "restartpolicy",
    ),
    "wrong type": (schema.valid, "prod", TRITON, f"{SERVER}/ports/0/containerPort", "8001", "containerPort", "8001"),
    "unknown kind": (schema.valid, "prod", TRITON, "kind", "Deploiement", "kind", "no kind of Kubernetes"),
    "unknown field of a custom resource": (
        schema.valid, "ray", "RayJob/stmae-night", "spec/backoffLimits", 1, "spec", "backoffLimits",
    ),
    "unknown field of a pod in a custom resource": (
        schema.valid, "ray", "RayJob/stmae-night", "spec/rayClusterSpec/headGroupSpec/template/spec/hostnetwork",
        True, "spec.rayClusterSpec.headGroupSpec.template", "hostnetwork",
    ),
    "unknown field of a runtime's container": (
        schema.valid, "kserve", "ServingRuntime/stmae-triton", "spec/containers/0/volumeMount", [], "spec.predictor",
        "volumeMount",
    ),
    "containers that no rule knows": (
        pods.unknown, "prod", "ServiceAccount/stmae-batch", "spec/containers", [{"name": "x"}], "spec.containers",
        "check/pods.py",
    ),
    "unknown secret": (
        references.secrets, "local", TRITON, f"{POD}/volumes/2/secret/secretName", "keys", "volumes[trust]", "keys",
    ),
    "unknown key of a secret": (
        references.secrets, "local", TRITON, f"{POD}/initContainers/0/env/4/valueFrom/secretKeyRef/key", "KEY",
        "env[AWS_ACCESS_KEY_ID]", "stmae-s3 KEY",
    ),
    "secret in a manifest": (
        references.secrets, "prod", "ServiceAccount/stmae-batch", "kind", "Secret", "kind", "holds no secret",
    ),
    "unknown config map": (
        references.configuration, "ray", "CronJob/stmae-start", f"{JOB}/template/spec/volumes/0/configMap/name",
        "begin", "volumes[start]", "no ConfigMap begin",
    ),
    "unknown claim": (
        references.configuration, "local", TRITON, f"{POD}/volumes/0",
        {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}, "volumes[models]", "stmae-models",
    ),
    "unknown volume": (
        references.volumes, "local", TRITON, f"{SERVER}/volumeMounts/0/name", "weights", "volumeMounts[/models]",
        "weights",
    ),
    "scratch without a size": (
        references.volumes, "local", TRITON, f"{POD}/volumes/1/emptyDir", {}, "sizeLimit", "fills its node",
    ),
    "unknown role": (
        references.roles, "prod", "RoleBinding/stmae-pipeline", "roleRef/name", "pipeline", "roleRef.name", "no Role",
    ),
    "selector": (
        selection.workloads, "prod", TRITON, "spec/selector/matchLabels/app.kubernetes.io~1name", "tritons",
        "spec.selector", "its own pods",
    ),
    "service without pods": (
        selection.services, "prod", "Service/triton", "spec/selector/app.kubernetes.io~1name", "tritons",
        "spec.selector", "selects no pod",
    ),
    "service without a port": (
        selection.services, "prod", "Service/triton", "spec/ports/0/targetPort", "rpc", "targetPort", "grpc=8001",
    ),
    "budget without pods": (
        selection.services, "prod", "PodDisruptionBudget/triton", "spec/selector/matchLabels", {"a": "b"},
        "spec.selector", "selects no pod",
    ),
    "monitor without a port": (
        selection.monitors, "prod", "PodMonitor/stmae-models", "spec/podMetricsEndpoints/0/port", "sidecar",
        "podMetricsEndpoints.0.port", "health=8080",
    ),
    "autoscaler without a target": (
        selection.scaling, "prod", "HorizontalPodAutoscaler/triton", "spec/scaleTargetRef/name", "server",
        "scaleTargetRef.name", "no Deployment server",
    ),
    "autoscaler without a metric": (
        selection.scaling, "prod", "HorizontalPodAutoscaler/triton", "spec/metrics/0/pods/metric/name", "queue",
        "metric.name", "triton_queue_seconds",
    ),
    "no policy for a pod": (
        network.policies, "prod", TRITON, "spec/template/metadata/labels/app.kubernetes.io~1name", "server", "labels",
        "no NetworkPolicy names",
    ),
    "nothing denied": (
        network.policies, "prod", "NetworkPolicy/default-deny", "spec/policyTypes", ["Ingress"], "spec.podSelector",
        "denies all",
    ),
    "policy for no port": (
        network.policies, "prod", "NetworkPolicy/triton", "spec/ingress/0/ports/0/port", 8003, "ports.0.port", "8003",
    ),
    "no network": (
        network.policies, "prod", "NetworkPolicy/s3", "spec/egress/0/to/0/ipBlock/cidr", "s3.example.com",
        "ipBlock.cidr", "no network",
    ),
    "cron": (schedules.crons, "prod", NIGHT, "spec/schedule", "0 25 * * *", "spec.schedule", "between 0 and 23"),
    "cron of six fields": (
        schedules.crons, "prod", NIGHT, "spec/schedule", "0 0 1 * * *", "spec.schedule", "write five",
    ),
    "time zone": (schedules.crons, "prod", NIGHT, "spec/timeZone", "Berlin", "spec.timeZone", "IANA"),
    "two nights at a time": (
        schedules.crons, "prod", NIGHT, "spec/concurrencyPolicy", "Allow", "concurrencyPolicy", "must not be",
    ),
    "a night longer than a day": (
        schedules.deadlines, "prod", NIGHT, f"{JOB}/activeDeadlineSeconds", 90000, "activeDeadlineSeconds",
        "is due after",
    ),
    "a Ray night longer than a day": (
        schedules.deadlines, "ray", "RayJob/stmae-night", "spec/activeDeadlineSeconds", 90000,
        "activeDeadlineSeconds", "is due after",
    ),
    "no deadline": (
        schedules.deadlines, "prod", NIGHT, f"{JOB}/activeDeadlineSeconds", REMOVED, "activeDeadlineSeconds",
        "set it",
    ),
    "a start that may never come": (
        schedules.deadlines, "prod", NIGHT, "spec/startingDeadlineSeconds", 5, "startingDeadlineSeconds", "too late",
    ),
    "upkeep beside the night": (
        schedules.apart, "prod", "CronJob/stmae-compact", "spec/schedule", "0 2 * * 0", "spec.schedule",
        "a night still may",
    ),
    "upkeep into the next night": (
        schedules.apart, "prod", "CronJob/stmae-compact", f"{JOB}/activeDeadlineSeconds", 14400, "spec.schedule",
        "COMPACT_SCHEDULE",
    ),
    "upkeep beside a Ray night": (
        schedules.apart, "ray", "CronJob/stmae-compact", "spec/schedule", "0 12 * * 0", "spec.schedule",
        "a night still may",
    ),
    "a deadline that nobody is told of": (
        schedules.told, "prod", "PrometheusRule/stmae", EXPRESSION, "stmae_batch_work_left_bytes > 0",
        "activeDeadlineSeconds", "unnoticed",
    ),
    "a Ray deadline that nobody is told of": (
        schedules.told, "ray", "RayJob/stmae-night", "spec/submitterPodTemplate/spec/activeDeadlineSeconds", REMOVED,
        "submitterPodTemplate.spec.activeDeadlineSeconds", "below that of the RayJob",
    ),
    "a value left out": (
        values.filled, "prod", "NetworkPolicy/s3", "spec/egress/0/to/0/ipBlock/cidr", "set-by-site", "ipBlock.cidr",
        "site/kustomization.yaml",
    ),
    "expression": (alerts.alerts, "prod", "PrometheusRule/stmae", EXPRESSION, "sum(", "expr", "does not parse"),
    "metric": (
        alerts.alerts, "prod", "PrometheusRule/stmae", EXPRESSION, "stmae_batch_frames_total == 0", "expr",
        "stmae_batch_frames_total, which nothing makes",
    ),
    "severity": (
        alerts.alerts, "prod", "PrometheusRule/stmae", "spec/groups/0/rules/0/labels/severity", "high",
        "labels.severity", "critical",
    ),
    "runbook": (
        alerts.alerts, "prod", "PrometheusRule/stmae", "spec/groups/0/rules/0/annotations/runbook_url", "runbook.md",
        "runbook_url", "docs/runbook.md#stmaenightfailed",
    ),
    "dashboard": (
        dashboard.dashboards, "prod", "ConfigMap/stmae-dashboard", "data/stmae.json",
        '{"panels": [{"id": 1, "type": "stat", "title": "Lag", "description": "d",'
        ' "gridPos": {"x": 0, "y": 0, "w": 1, "h": 1},'
        ' "targets": [{"refId": "A", "expr": "archive_lag"}]}]}', "panels[Lag].unit", "is missing",
    ),
}
# fmt: on


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_the_rule_meant_for_it(mistake: str) -> None:
    rule, overlay, document, field, value, named, mend = MISTAKES[mistake]
    wrong = [check for check in rule(altered(overlay, document, field, value)) if check.wrong]
    assert any(named in check.field and mend in check.wrong for check in wrong), [str(check) for check in wrong]
    assert all(check.where == overlay and check.document and check.field for check in wrong)
