"""The pods that documents make, each as a template with what Kubernetes or an operator adds to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from k8s.check.overlay import Body, Check, Document, Overlay, walk

TEMPLATES = {
    "Deployment": ("spec.template",),
    "StatefulSet": ("spec.template",),
    "DaemonSet": ("spec.template",),
    "Job": ("spec.template",),
    "CronJob": ("spec.jobTemplate.spec.template",),
}
ENDING = ("Job", "CronJob")
"""Kinds whose pods end by themselves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod."""

    field: str
    """Its path in the document, with its name."""
    body: Body
    long_running: bool

    @property
    def name(self) -> str:
        return str(self.body.get("name", "?"))


@dataclasses.dataclass(frozen=True, slots=True)
class Pod:
    """A template of pods."""

    document: Document
    field: str
    """Path of the template in the document."""
    labels: Mapping[str, str]
    spec: Body
    long_running: bool
    custom: bool = False
    """Whether it is part of a custom resource, whose schema does not look into it."""

    def containers(self) -> Iterator[Container]:
        """Yields all containers; an init container that is always restarted is a sidecar, and runs on."""
        for key in ("initContainers", "containers"):
            for body in self.spec.get(key, ()):
                sidecar = body.get("restartPolicy") == "Always"
                runs_on = sidecar if key == "initContainers" else self.long_running
                yield Container(f"{self.field}.{key}[{body.get('name', '?')}]", body, runs_on)

    def ports(self) -> dict[str, int]:
        """Returns the ports by their names."""
        return {
            port["name"]: port["containerPort"]
            for container in self.containers()
            for port in container.body.get("ports", ())
            if "name" in port
        }

    def check(self, field: str, good: bool, wrong: str) -> Check:
        """Returns the check of a field of the template."""
        return self.document.check(f"{self.field}.{field}", good, wrong)


def pods(overlay: Overlay) -> list[Pod]:
    """Returns the pods of all documents."""
    return [pod for document in overlay.documents for pod in _of(document, overlay)]


def unknown(overlay: Overlay) -> Iterator[Check]:
    """Checks that each list of containers belongs to a pod that the rules look at."""
    seen = {id(container.body) for pod in pods(overlay) for container in pod.containers()}
    for document in overlay.documents:
        for field, value in walk(document.body):
            if field.rpartition(".")[2] in ("containers", "initContainers") and isinstance(value, list):
                known = all(id(body) in seen for body in value)
                yield document.check(field, known, "no rule looks at these containers; add the kind to check/pods.py")


def _of(document: Document, overlay: Overlay) -> Iterator[Pod]:
    if document.kind in TEMPLATES:
        for field in TEMPLATES[document.kind]:
            yield _pod(document, field, document.kind not in ENDING)
    elif document.kind == "RayJob":
        yield _pod(document, "spec.rayClusterSpec.headGroupSpec.template", True, custom=True)
        for number, _ in enumerate(document.get("spec.rayClusterSpec.workerGroupSpecs", [])):
            yield _pod(document, f"spec.rayClusterSpec.workerGroupSpecs.{number}.template", True, custom=True)
        yield _pod(document, "spec.submitterPodTemplate", False, custom=True)
    elif document.kind == "InferenceService":
        yield _predictor(document, overlay)


def _pod(document: Document, field: str, long_running: bool, custom: bool = False) -> Pod:
    template: Any = document.get(field, {})
    labels = template.get("metadata", {}).get("labels", {})
    return Pod(document, f"{field}.spec", labels, template.get("spec", {}), long_running, custom)


PREDICTOR = ("labels", "annotations", "minReplicas", "maxReplicas", "model")
"""Fields of a predictor that are KServe's; the others are those of a pod."""


def _predictor(document: Document, overlay: Overlay) -> Pod:
    """Returns the pod that KServe makes of a predictor and the runtime that it names."""
    predictor: Body = document.get("spec.predictor", {})
    runtime = overlay.find("ServingRuntime", str(document.get("spec.predictor.model.runtime")))
    added: Body = runtime.get("spec", {}) if runtime else {}
    spec = {key: value for key, value in predictor.items() if key not in PREDICTOR}
    for key in ("containers", "volumes"):
        joined = [*predictor.get(key, ()), *added.get(key, ())]
        spec |= {key: joined} if joined else {}
    labels = {**document.get("metadata.labels", {}), **added.get("labels", {}), **predictor.get("labels", {})}
    return Pod(document, "spec.predictor", labels, spec, True, custom=True)
