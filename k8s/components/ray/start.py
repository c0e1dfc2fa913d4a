"""Starts a copy of the suspended RayJob that the manifests apply. Runs in a pod, with nothing but Python."""

import json
import os
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

ACCOUNT = Path(os.environ.get("ACCOUNT", "/account"))
"""Folder with the token of the pod's service account and the certificate of the Kubernetes API."""
LABEL = "kueue.x-k8s.io/queue-name"
ENDED = ("Complete", "Failed")
KEPT = 7
"""So many copies that have ended are left to look at; nothing else would delete them."""


def copied(template: dict, queue: str, started_by: str) -> dict:
    """Returns a RayJob that runs at once. It is named after what starts it, so that a further try makes no other.

    The queue's name is given to the copy only. Kueue starts what waits in a queue, and would start the template.
    """
    name = f"{template['metadata']['name']}-{started_by.rpartition('-')[2]}"
    labels = {**template["metadata"].get("labels", {}), LABEL: queue}
    return {
        "apiVersion": template["apiVersion"],
        "kind": template["kind"],
        "metadata": {"name": name, "labels": labels},
        "spec": {**template["spec"], "suspend": False},
    }


def stale(jobs: list[dict], template: str) -> list[str]:
    """Returns the names of the copies that have ended, all but the newest."""
    ended = [job for job in jobs if job.get("status", {}).get("jobDeploymentStatus") in ENDED]
    names = [job["metadata"]["name"] for job in sorted(ended, key=lambda job: job["metadata"]["creationTimestamp"])]
    return [name for name in names if name.startswith(f"{template}-")][:-KEPT]


def ask(url: str, body: dict | None = None, method: str | None = None) -> dict:
    """Returns the answer of the Kubernetes API. Raises OSError, and urllib.error.HTTPError for a refusal."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, method=method)
    request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text().strip()}")
    request.add_header("Content-Type", "application/json")
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")) if url.startswith("https:") else None
    with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
        return json.load(answer)


def start(jobs: str, template: str, queue: str, started_by: str) -> str:
    """Makes the copy, unless a try whose answer was lost has made it, and returns its name. Raises OSError."""
    copy = copied(ask(f"{jobs}/{template}"), queue, started_by)
    try:
        ask(jobs, copy)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            raise
    for name in stale(ask(jobs)["items"], template):
        ask(f"{jobs}/{name}", method="DELETE")
    return copy["metadata"]["name"]


def main() -> int:
    """Returns 0 where the copy is there, 1 where the API refuses it."""
    given = os.environ
    jobs = f"{given['API']}/apis/ray.io/v1/namespaces/{given['NAMESPACE']}/rayjobs"
    try:
        name = start(jobs, given["JOB"], given["QUEUE"], given["STARTED_BY"])
    except urllib.error.HTTPError as error:
        print(json.dumps({"level": "error", "url": error.url, "status": error.code, "answer": error.read().decode()}))
        return 1
    except OSError as error:
        print(json.dumps({"level": "error", "url": jobs, "reason": str(error)}))
        return 1
    print(json.dumps({"level": "info", "started": name}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
