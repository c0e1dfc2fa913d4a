"""What the Pod Security Standard `restricted` asks for, and a little more; service accounts."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.check.overlay import Check, Overlay
from k8s.check.pods import Container, Pod, pods

HOST = ("hostNetwork", "hostPID", "hostIPC")


def restricted(overlay: Overlay) -> Iterator[Check]:
    """Checks users, file systems, privileges, and what of the node a pod can reach."""
    for pod in pods(overlay):
        for field in HOST:
            yield pod.check(field, not pod.spec.get(field), "remove it: a pod keeps to itself")
        profile = pod.spec.get("securityContext", {}).get("seccompProfile", {}).get("type")
        good = profile == "RuntimeDefault"
        yield pod.check("securityContext.seccompProfile.type", good, f"is {profile}; set RuntimeDefault")
        for volume in pod.spec.get("volumes", ()):
            yield pod.check(f"volumes[{volume['name']}]", "hostPath" not in volume, "remove hostPath")
        for container in pod.containers():
            yield from _container(pod, container)


def _container(pod: Pod, container: Container) -> Iterator[Check]:
    own = container.body.get("securityContext", {})
    context = {**pod.spec.get("securityContext", {}), **own}

    def check(field: str, good: bool, wrong: str) -> Check:
        return pod.document.check(f"{container.field}.securityContext.{field}", good, wrong)

    user = context.get("runAsUser")
    yield check("runAsNonRoot", context.get("runAsNonRoot") is True, "set it to true, here or on the pod")
    yield check("runAsUser", isinstance(user, int) and user > 0, f"is {user}; name a number that is not root's")
    yield check("readOnlyRootFilesystem", own.get("readOnlyRootFilesystem") is True, "set it to true; write to volumes")
    yield check("allowPrivilegeEscalation", own.get("allowPrivilegeEscalation") is False, "set it to false")
    yield check("privileged", not own.get("privileged"), "remove it")
    capabilities = own.get("capabilities", {})
    yield check("capabilities.drop", "ALL" in capabilities.get("drop", ()), "drop [ALL]")
    yield check("capabilities.add", not capabilities.get("add"), "add none")
    unconfined = own.get("seccompProfile", {}).get("type", "RuntimeDefault") != "RuntimeDefault"
    yield check("seccompProfile", not unconfined, "leave the pod's RuntimeDefault as it is")


def accounts(overlay: Overlay) -> Iterator[Check]:
    """Checks that each pod has an account of its workload, and no token of the Kubernetes API by default."""
    there = overlay.names("ServiceAccount")
    for pod in pods(overlay):
        account = pod.spec.get("serviceAccountName", "default")
        good = account in there and account != "default"
        yield pod.check("serviceAccountName", good, f"is {account}; name one of {', '.join(sorted(there))}")
        mounted = pod.spec.get("automountServiceAccountToken")
        yield pod.check("automountServiceAccountToken", mounted is False, "set it to false")
    for binding in overlay.of("ClusterRole", "ClusterRoleBinding"):
        yield binding.check("kind", False, "reaches beyond the namespace; use a Role")
    for role in overlay.of("Role"):
        for number, rule in enumerate(role.get("rules", [])):
            wide = "*" in [*rule.get("verbs", ()), *rule.get("resources", ()), *rule.get("apiGroups", ())]
            yield role.check(f"rules.{number}", not wide, "name the verbs and resources that are used, not *")
