"""Kubeflow Pipelines: submission of a pipeline, once or on a schedule."""

import datetime
import json
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import kfp
import kfp_server_api
from kfp import compiler
from kfp.dsl.graph_component import GraphComponent

HEALTH = "/apis/v2beta1/healthz"
TIMEOUT = 10.0
PAGE = 100


class ClusterError(RuntimeError):
    """Raised where Kubeflow Pipelines does not answer or refuses the run; the message says where, and the mend."""


def submit(host: str, pipeline: GraphComponent, name: str, service_account: str, **arguments: Any) -> str:
    """Creates a run named `<name>-<time>` and returns its address in the Kubeflow UI.

    Raises ClusterError where nobody answers at `host` or the run is refused.
    """
    host = _checked(host)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    try:
        run = kfp.Client(host=host).create_run_from_pipeline_func(
            pipeline,
            arguments=arguments,
            run_name=f"{name}-{stamp}",
            experiment_name=f"stmae-{name}",
            service_account=service_account or None,
        )
    except (kfp_server_api.ApiException, TimeoutError) as error:
        raise ClusterError(f"Kubeflow Pipelines at {host} refused the run: {error}") from error
    return f"{host}/#/runs/details/{run.run_id}"


def schedule(host: str, pipeline: GraphComponent, name: str, service_account: str, cron: str, **arguments: Any) -> str:
    """Creates the recurring run `<name>`, in place of one of this name, and returns its address in the Kubeflow UI.

    `cron` has six fields, the first one seconds. A run that was missed is not caught up on, and none begins while one
    goes on. Raises ClusterError where nobody answers at `host` or the recurring run is refused.
    """
    host = _checked(host)
    try:
        client = kfp.Client(host=host)
        experiment = client.create_experiment(f"stmae-{name}").experiment_id
        before = _recurring(client, experiment, name)
        with tempfile.TemporaryDirectory() as folder:
            package = str(Path(folder) / "pipeline.yaml")
            compiler.Compiler().compile(pipeline, package)
            made = client.create_recurring_run(
                experiment,
                name,
                cron_expression=cron,
                max_concurrency=1,
                no_catchup=True,
                params=arguments,
                pipeline_package_path=package,
                service_account=service_account or None,
            )
        for identifier in before:
            client.delete_recurring_run(identifier)
    except (kfp_server_api.ApiException, TimeoutError) as error:
        raise ClusterError(f"Kubeflow Pipelines at {host} refused the recurring run: {error}") from error
    return f"{host}/#/recurringrun/details/{made.recurring_run_id}"


def _recurring(client: kfp.Client, experiment: str, name: str) -> list[str]:
    """Returns the identifiers of the recurring runs of a name."""
    found, token = [], ""
    while True:
        page = client.list_recurring_runs(page_token=token, page_size=PAGE, experiment_id=experiment)
        found += [each.recurring_run_id for each in page.recurring_runs or [] if each.display_name == name]
        token = page.next_page_token
        if not token:
            return found


def _checked(host: str) -> str:
    """Returns the address without a slash at its end.

    Raises ClusterError at once; kfp's own client retries for half a minute and then shows a page of traceback.
    """
    host = host.rstrip("/")
    mend = "check KFP_HOST (http://host:port of the ml-pipeline service or its gateway), or unset it to run locally"
    try:
        with urllib.request.urlopen(host + HEALTH, timeout=TIMEOUT) as answer:
            body, page = answer.read(), answer.geturl()
    except urllib.error.HTTPError as error:
        error.close()
        refused = "; it wants a login: use `kubectl port-forward`" if error.code in (401, 403) else ""
        raise ClusterError(f"no Kubeflow Pipelines at {host}: it answered {error.code}{refused}; {mend}") from error
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Kubeflow Pipelines at {host}: {getattr(error, 'reason', error)}; {mend}") from error
    try:
        if not isinstance(json.loads(body), dict):
            raise ValueError
    except ValueError:
        raise ClusterError(
            f"no Kubeflow Pipelines at {host}: {page} is a web page, perhaps a login; "
            f"go round it with `kubectl port-forward -n kubeflow svc/ml-pipeline 8888`; {mend}"
        ) from None
    return host
