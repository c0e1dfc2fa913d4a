"""Submit a pipeline to Kubeflow Pipelines."""

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
    """Kubeflow Pipelines does not answer or refuses the run; the message names the address and the mend."""


def submit(host: str, pipeline: GraphComponent, name: str, **arguments: Any) -> str:
    """Create a run named `<name>-<time>` and return its address in the Kubeflow UI.

    Raises ClusterError where nobody answers at `host` or the run is refused.
    """
    host = host.rstrip("/")
    _check(host)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    # Footage of an unknown version is prepared anew rather than taken from the cache.
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
    """The client of kfp itself retries for half a minute and then shows a page of traceback."""
    try:
        urllib.request.urlopen(host + HEALTH, timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return  # somebody is there; what it refuses, the client reports better
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"no Kubeflow Pipelines at {host}: {reason}; check KFP_HOST (http://host:port of the ml-pipeline "
            "service or its gateway), or unset it to run locally"
        ) from error
