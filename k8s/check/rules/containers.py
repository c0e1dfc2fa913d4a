"""Images, resources, probes, environment and shutdown of containers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from k8s.check.overlay import Check, Overlay
from k8s.check.pods import Container, Pod, pods
from k8s.check.quantity import quantity

IMAGE = re.compile(r"[a-z0-9][a-z0-9.:/_-]*@sha256:([0-9a-f]{64})")
MEASURES = ("cpu", "memory", "ephemeral-storage")
PROBES = ("readinessProbe", "livenessProbe")
MANY_DIGITS = 8
"""A digest has more different digits than this; one that is made up has fewer."""
_REFERENCE = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def each(overlay: Overlay) -> Iterator[tuple[Pod, Container]]:
    return ((pod, container) for pod in pods(overlay) for container in pod.containers())


def images(overlay: Overlay) -> Iterator[Check]:
    """Checks that images are named by digests."""
    for pod, container in each(overlay):
        image = str(container.body.get("image"))
        form = IMAGE.fullmatch(image)
        good = form is not None and len(set(form[1])) > MANY_DIGITS
        wrong = (
            f"is {image}, without a digest (64 hex digits); run `make images`, or mend k8s/images/kustomization.yaml"
        )
        yield pod.document.check(f"{container.field}.image", good, wrong)


def resources(overlay: Overlay) -> Iterator[Check]:
    """Checks that requests and limits are there, and in order."""
    for pod, container in each(overlay):
        asked: Any = container.body.get("resources", {})
        for measure in MEASURES:
            request, limit = (quantity(asked.get(side, {}).get(measure)) for side in ("requests", "limits"))
            field = f"{container.field}.resources"
            yield pod.document.check(f"{field}.requests.{measure}", request is not None, "say how much is needed")
            yield pod.document.check(f"{field}.limits.{measure}", limit is not None, "say how much is allowed")
            good = request is None or limit is None or request <= limit
            yield pod.document.check(f"{field}.limits.{measure}", good, "is below the request; raise it")


def probes(overlay: Overlay) -> Iterator[Check]:
    """Checks that what runs on is probed, at ports that are there."""
    for pod, container in each(overlay):
        for name in PROBES:
            if container.long_running:
                wrong = "is missing: a container that runs on must tell whether it works"
                yield pod.document.check(f"{container.field}.{name}", name in container.body, wrong)
        own = {port.get("name"): port["containerPort"] for port in container.body.get("ports", ())}
        numbers = {port["containerPort"] for any_of in pod.containers() for port in any_of.body.get("ports", ())}
        for name in (*PROBES, "startupProbe"):
            probe = container.body.get(name, {})
            for way in ("httpGet", "tcpSocket", "grpc"):
                if way in probe:
                    port = probe[way].get("port")
                    known = port in own if isinstance(port, str) else port in numbers
                    wrong = f"no container listens at {port}; a name must be one of this container's ports"
                    yield pod.document.check(f"{container.field}.{name}.{way}.port", known, wrong)


def environment(overlay: Overlay) -> Iterator[Check]:
    """Checks that `$(NAME)` in arguments and values names a variable that is set, and set before."""
    for pod, container in each(overlay):
        known: set[str] = set()
        for variable in container.body.get("env", ()):
            for name in _REFERENCE.findall(str(variable.get("value", ""))):
                field = f"{container.field}.env[{variable['name']}]"
                yield pod.document.check(field, name in known, f"$({name}) is not set before it; move it up")
            known.add(variable["name"])
        for key in ("command", "args"):
            for number, text in enumerate(container.body.get(key, ())):
                for name in _REFERENCE.findall(str(text)):
                    field = f"{container.field}.{key}.{number}"
                    yield pod.document.check(field, name in known, f"$({name}) is no variable of the container")


def order(overlay: Overlay) -> Iterator[Check]:
    """Checks that sidecars come after the containers that prepare something: merging patches can turn them round."""
    for pod in pods(overlay):
        always = [body.get("restartPolicy") == "Always" for body in pod.spec.get("initContainers", ())]
        if any(always):
            wrong = "a sidecar comes before an init container; name both, in their order, in each patch"
            yield pod.check("initContainers", always == sorted(always), wrong)


def shutdown(overlay: Overlay) -> Iterator[Check]:
    """Checks that a server gets the time that it takes to end: the pause before it, and its own."""
    for pod, container in each(overlay):
        said = [re.fullmatch(r"--exit-timeout-secs=(\d+)", str(text)) for text in container.body.get("args", ())]
        own = [int(each[1]) for each in said if each]
        if own:
            pause = container.body.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            grace = pod.spec.get("terminationGracePeriodSeconds", 30)
            good = pause + own[0] < grace
            wrong = f"is {grace}, but {container.name} takes up to {pause} + {own[0]} seconds to end; raise it"
            yield pod.check("terminationGracePeriodSeconds", good, wrong)
