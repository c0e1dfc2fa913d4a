"""Network policies: nothing is allowed by default, and each pod has a policy that names it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from k8s.check.overlay import Check, Document, Overlay, walk
from k8s.check.pods import Pod, pods
from k8s.check.selector import selects

BOTH = {"Ingress", "Egress"}


def policies(overlay: Overlay) -> Iterator[Check]:
    """Checks that all is denied by default, each pod is named, and what is let in comes to ports that are there."""
    found = list(overlay.of("NetworkPolicy"))
    denies = [
        each
        for each in found
        if each.get("spec.podSelector") == {}
        and set(each.get("spec.policyTypes", [])) == BOTH
        and not each.get("spec.ingress")
        and not each.get("spec.egress")
    ]
    yield Check(overlay.name, "NetworkPolicy", "spec.podSelector", "" if denies else "no policy denies all by default")
    named = [each for each in found if each.get("spec.podSelector")]
    for pod in pods(overlay):
        good = any(selects(each.get("spec.podSelector"), pod.labels) for each in named)
        yield pod.check(
            "labels", good, f"no NetworkPolicy names pods labelled {dict(pod.labels)}; it could reach nothing"
        )
    for policy in found:
        yield from _ports(policy, pods(overlay))
        for field, value in walk(policy.body):
            if field.endswith(".cidr"):
                yield policy.check(field, _network(value), f"{value!r} is no network, such as 192.0.2.0/24")


def _ports(policy: Document, all_pods: list[Pod]) -> Iterator[Check]:
    chosen = [pod for pod in all_pods if selects(policy.get("spec.podSelector", {}), pod.labels)]
    if policy.get("spec.podSelector") and not chosen and policy.name != "pipeline":
        yield policy.check("spec.podSelector", False, "selects no pod; give it the labels of one")
    listened = {number for pod in chosen for number in pod.ports().values()}
    for number, rule in enumerate(policy.get("spec.ingress", [])):
        for place, port in enumerate(rule.get("ports", [])):
            wrong = f"nothing listens at {port.get('port')}; the pods have {sorted(listened)}"
            yield policy.check(f"spec.ingress.{number}.ports.{place}.port", port.get("port") in listened, wrong)


def _network(text: object) -> bool:
    try:
        ipaddress.ip_network(str(text))
    except ValueError:
        return False
    return True
