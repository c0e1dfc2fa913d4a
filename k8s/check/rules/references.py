"""What documents name must be there: secrets, config maps, claims, volumes, roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s.check.overlay import Check, Document, Overlay
from k8s.check.pods import Pod, pods

SECRETS = {
    "stmae-s3": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
    "stmae-tls": {"ca.crt", "tls.crt", "tls.key"},
    "stmae-trust": {"key.pem"},
    "stmae-admin": {"key"},
}
"""Secrets that a site creates, and their keys. docs/cluster.md describes them; none is in a manifest."""
IN_EVERY_NAMESPACE = {"kube-root-ca.crt"}
"""Config maps that Kubernetes itself makes."""


def secrets(overlay: Overlay) -> Iterator[Check]:
    """Checks that secrets are the documented ones, and that none is written down."""
    for document in overlay.of("Secret"):
        yield document.check("kind", False, "a manifest holds no secret; have the site create it, and name it")
    for pod in pods(overlay):
        for field, name, keys in _secrets_of(pod):
            known = name in SECRETS and keys <= SECRETS[name]
            there = "; ".join(f"{secret}: {', '.join(sorted(keys))}" for secret, keys in SECRETS.items())
            wrong = f"{name} {' '.join(sorted(keys))} is not documented; there are {there}"
            yield pod.document.check(field, known, wrong)


def _secrets_of(pod: Pod) -> Iterator[tuple[str, str, set[str]]]:
    for container in pod.containers():
        for variable in container.body.get("env", ()):
            chosen = variable.get("valueFrom", {}).get("secretKeyRef")
            if chosen:
                yield f"{container.field}.env[{variable['name']}]", chosen["name"], {chosen["key"]}
        for source in container.body.get("envFrom", ()):
            if "secretRef" in source:
                yield f"{container.field}.envFrom", source["secretRef"]["name"], set()
    for volume in pod.spec.get("volumes", ()):
        sources = [volume, *volume.get("projected", {}).get("sources", ())]
        for secret in (each["secret"] for each in sources if "secret" in each):
            name = secret.get("secretName") or secret.get("name")
            yield f"{pod.field}.volumes[{volume['name']}]", name, {item["key"] for item in secret.get("items", ())}


def configuration(overlay: Overlay) -> Iterator[Check]:
    """Checks that config maps and claims are there."""
    maps, claims = overlay.names("ConfigMap") | IN_EVERY_NAMESPACE, overlay.names("PersistentVolumeClaim")
    for pod in pods(overlay):
        for container in pod.containers():
            for field, body in (("env", container.body.get("env", ())), ("envFrom", container.body.get("envFrom", ()))):
                for entry in body:
                    chosen: Any = entry.get("configMapRef") or entry.get("valueFrom", {}).get("configMapKeyRef")
                    if chosen:
                        wrong = f"there is no ConfigMap {chosen['name']}"
                        yield pod.document.check(f"{container.field}.{field}", chosen["name"] in maps, wrong)
        for volume in pod.spec.get("volumes", ()):
            field = f"volumes[{volume['name']}]"
            sources = [volume, *volume.get("projected", {}).get("sources", ())]
            for name in (each["configMap"]["name"] for each in sources if "configMap" in each):
                yield pod.check(field, name in maps, f"there is no ConfigMap {name}")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim:
                yield pod.check(
                    field, claim in claims, f"there is no claim {claim}; there are {', '.join(sorted(claims))}"
                )


def volumes(overlay: Overlay) -> Iterator[Check]:
    """Checks that what is mounted is a volume, what is a volume is mounted, and that scratch space has a size."""
    for pod in pods(overlay):
        there = {volume["name"] for volume in pod.spec.get("volumes", ())}
        mounted: set[str] = set()
        for container in pod.containers():
            for mount in container.body.get("volumeMounts", ()):
                mounted.add(mount["name"])
                field = f"{container.field}.volumeMounts[{mount['mountPath']}]"
                yield pod.document.check(field, mount["name"] in there, f"there is no volume {mount['name']}")
        for volume in pod.spec.get("volumes", ()):
            field = f"volumes[{volume['name']}]"
            yield pod.check(field, volume["name"] in mounted, "nothing mounts it; remove it")
            if "emptyDir" in volume:
                good = "sizeLimit" in volume["emptyDir"]
                yield pod.check(f"{field}.emptyDir.sizeLimit", good, "say how large it may grow, or it fills its node")


def roles(overlay: Overlay) -> Iterator[Check]:
    """Checks that a binding names a role and accounts that are there."""
    for binding in overlay.of("RoleBinding"):
        role = binding.get("roleRef.name")
        yield binding.check("roleRef.name", role in overlay.names("Role"), f"there is no Role {role}")
        yield from _subjects(binding, overlay.names("ServiceAccount"))


def _subjects(binding: Document, accounts: set[str]) -> Iterator[Check]:
    for number, subject in enumerate(binding.get("subjects", [])):
        good = subject.get("kind") == "ServiceAccount" and subject.get("name") in accounts
        yield binding.check(f"subjects.{number}.name", good, f"there is no ServiceAccount {subject.get('name')}")
