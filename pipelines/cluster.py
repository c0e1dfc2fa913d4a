"""Submission of a pipeline to Kubeflow Pipelines."""

import datetime
import urllib.error
import urllib.request
from typing import Any

import kfp
import kfp_server_api
from kfp.dsl.graph_component import GraphComponent

HEALTH = "/apis/v2beta1/healthz"
TIMEOUT = 10.0


class ClusterError(RuntimeError):
    """Raised where Kubeflow Pipelines does not answer or refuses the run; the message says where, and the mend."""


def submit(host: str, pipeline: GraphComponent, name: str, **arguments: Any) -> str:
    """Creates a run named `<name>-<time>` and returns its address in the Kubeflow UI.

    Raises ClusterError where nobody answers at `host` or the run is refused.
    """
    host = host.rstrip("/")
    _check(host)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    # Kubeflow cannot see whether the footage changed: without a version it is prepared anew, not taken from the cache.
    arguments.setdefault("data_version", stamp)
    try:
        run = kfp.Client(host=host).create_run_from_pipeline_func(
            pipeline,
            arguments=arguments,
            run_name=f"{name}-{stamp}",
            experiment_name=f"stmae-{name}",
        )
    except (kfp_server_api.ApiException, TimeoutError) as error:
        raise ClusterError(f"Kubeflow Pipelines at {host} refused the run: {error}") from error
    return f"{host}/#/runs/details/{run.run_id}"


def _check(host: str) -> None:
    """Raises ClusterError at once; kfp's own client retries for half a minute and then shows a page of traceback."""
    try:
        urllib.request.urlopen(host + HEALTH, timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return  # a server answers; the client reports best what it refuses
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"no Kubeflow Pipelines at {host}: {reason}; check KFP_HOST (http://host:port of the ml-pipeline "
            "service or its gateway), or unset it to run locally"
        ) from error
