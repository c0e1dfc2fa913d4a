"""Names, enumerations and quantities, which schemas leave open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from k8s.check.overlay import Check, Overlay, walk
from k8s.check.pods import pods
from k8s.check.quantity import quantity

NAMESPACE = "stmae"
CLUSTER_WIDE = ("Namespace",)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
PORT = re.compile(r"(?=.{1,15}$)(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
CRON_NAME = 52
"""Longest name of a CronJob: its jobs get eleven characters more."""

ENUMERATIONS = {
    r"concurrencyPolicy": ("Forbid", "Replace", "Allow"),
    r"(initContainers\.\d+\.)restartPolicy": ("Always",),
    r"(?<!\d\.)restartPolicy": ("Always", "OnFailure", "Never"),
    r"podReplacementPolicy": ("Failed", "TerminatingOrFailed"),
    r"podFailurePolicy\.rules\.\d+\.action": ("FailJob", "Ignore", "Count", "FailIndex"),
    r"onExitCodes\.operator": ("In", "NotIn"),
    r"imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    r"protocol": ("TCP", "UDP", "SCTP"),
    r"policyTypes\.\d+": ("Ingress", "Egress"),
    r"accessModes\.\d+": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
    r"emptyDir\.medium": ("", "Memory"),
    r"whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    r"strategy\.type": ("RollingUpdate", "Recreate"),
    r"seccompProfile\.type": ("RuntimeDefault", "Localhost", "Unconfined"),
    r"fsGroupChangePolicy": ("OnRootMismatch", "Always"),
    r"tolerations\.\d+\.effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    r"tolerations\.\d+\.operator": ("Exists", "Equal"),
    r"matchExpressions\.\d+\.operator": ("In", "NotIn", "Exists", "DoesNotExist"),
    r"metrics\.\d+\.type": ("Resource", "Pods", "Object", "External", "ContainerResource"),
    r"target\.type": ("Utilization", "Value", "AverageValue"),
    r"policies\.\d+\.type": ("Pods", "Percent"),
    r"unhealthyPodEvictionPolicy": ("AlwaysAllow", "IfHealthyBudget"),
    r"submissionMode": ("K8sJobMode", "HTTPMode", "InteractiveMode"),
}
_WORDS = {re.compile(rf"(^|\.){pattern}$"): words for pattern, words in ENUMERATIONS.items()}
QUANTITIES = re.compile(
    r"(^|\.)(requests|limits)\.[^.]*$|(^|\.)(requests|limits)\.nvidia\.com/gpu$|(sizeLimit|averageValue)$"
)


def names(overlay: Overlay) -> Iterator[Check]:
    """Checks the names of documents, containers, volumes and ports, the namespace, and the values of labels."""
    for document in overlay.documents:
        good = SUBDOMAIN.fullmatch(document.name) is not None
        yield document.check("metadata.name", good, "is no DNS name (RFC 1123): small letters, digits, - and .")
        if document.kind == "CronJob":
            good = len(document.name) <= CRON_NAME
            yield document.check("metadata.name", good, f"is longer than {CRON_NAME} characters; shorten it")
        if document.kind not in CLUSTER_WIDE:
            space = document.get("metadata.namespace")
            yield document.check("metadata.namespace", space == NAMESPACE, f"is {space}; everything is in {NAMESPACE}")
        for field, value in walk(document.body):
            if field.endswith(("labels", "matchLabels")) and isinstance(value, dict):
                for key, text in value.items():
                    good = LABEL_VALUE.fullmatch(str(text)) is not None
                    yield document.check(f"{field}[{key}]", good, f"{text!r} is no value of a label")
    for pod in pods(overlay):
        for container in pod.containers():
            good = LABEL.fullmatch(container.name) is not None
            yield pod.document.check(f"{container.field}.name", good, "is no DNS label: small letters, digits and -")
            for port in container.body.get("ports", ()):
                good = PORT.fullmatch(port.get("name", "x")) is not None
                yield pod.document.check(f"{container.field}.ports", good, f"{port.get('name')} is no name of a port")
        for volume in pod.spec.get("volumes", ()):
            good = LABEL.fullmatch(volume["name"]) is not None
            yield pod.check(f"volumes[{volume['name']}]", good, "is no DNS label: small letters, digits and -")


def enumerations(overlay: Overlay) -> Iterator[Check]:
    """Checks the fields that take one of a few words."""
    for document in overlay.documents:
        for field, value in walk(document.body):
            for pattern, words in _WORDS.items() if isinstance(value, str) else ():
                if pattern.search(field):
                    wrong = f"is {value}; it must be one of {', '.join(filter(None, words))}"
                    yield document.check(field, value in words, wrong)
    for pod in pods(overlay):
        policy = pod.spec.get("restartPolicy", "Always")
        ends = pod.document.kind in ("Job", "CronJob")
        good = policy in ("Never", "OnFailure") if ends else policy == "Always" or not pod.long_running
        yield pod.check("restartPolicy", good, f"is {policy}, which a {pod.document.kind} does not take")


def quantities(overlay: Overlay) -> Iterator[Check]:
    """Checks amounts of processors, memory and storage."""
    for document in overlay.documents:
        for field, value in walk(document.body):
            if QUANTITIES.search(field) and not isinstance(value, dict):
                yield document.check(
                    field, quantity(value) is not None, f"{value!r} is no quantity, such as 500m or 4Gi"
                )
