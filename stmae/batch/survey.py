"""What a run begins with: the archive's plan, the served model, and what the tables hold already."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TypeVar, Unpack

from stmae import tables as tabular
from stmae.batch import traces
from stmae.batch.done import Done, done_units
from stmae.batch.job import Job
from stmae.batch.plan import Options, Plan, make_plan
from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving.client import Client, Deployment
from stmae.serving.tls import Tls
from stmae.storage import ObjectMissingError, Store, StoreError, open_store
from stmae.storage.document import digest, from_json

Fitted = TypeVar("Fitted", NormalityModel, Calibration)


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """A run before it starts."""

    store: Store
    """The tables."""
    job: Job
    plan: Plan
    done: Done
    """What the tables hold of it, and what is left."""


def survey(
    archive: str,
    tables: str,
    server_url: str,
    deployment: str,
    normality: str,
    calibration: str,
    *,
    deadline_seconds: float = 60.0,
    tls: Tls | None = None,
    **options: Unpack[Options],
) -> Survey:
    """Looks at an archive, a server and tables, and writes nothing.

    `archive`, `tables`, `normality` and `calibration` (JSON files) are paths, file:// or s3:// URIs; `server_url` is
    Triton's gRPC host:port, and a request to it may take `deadline_seconds`. Raises StoreError, PlanError,
    LayoutError, ServingError, TlsError, and ValueError for a normality model or calibration that is none.
    """
    store = open_store(tables)
    model, calibrated = read_json(NormalityModel, normality), read_json(Calibration, calibration)
    plan = make_plan(open_store(archive), **options)
    with Client(server_url, deployment, deadline_seconds=deadline_seconds, tls=tls) as client:
        served = client.describe()
    job = Job(
        archive=archive,
        tables=tables,
        server_url=server_url,
        deployment=deployment,
        model=model_partition(served, model),
        model_digest=served.digest,
        size=served.size,
        segment_frames=served.segment_frames,
        deadline_seconds=deadline_seconds,
        tls=tls,
        traceparent=traces.headers().get("traceparent", ""),
        normality=model,
        calibration=calibrated,
    )
    return Survey(store, job, plan, done_units(store, job.model, plan.units))


def model_partition(served: Deployment, normality: NormalityModel) -> str:
    """Returns `<deployment>-<digest8>`, of all that changes the values in `scores`: versions never mix."""
    parts = (served.digest, digest(normality), config_digest(served.segment_frames))
    both = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{served.name}-{both[:8]}"


def config_digest(segment_frames: int) -> str:
    """Returns the SHA-256 (hex) of what raw scores depend on beside the model."""
    scoring = {"schema_version": tabular.SCHEMA_VERSION, "segment_frames": segment_frames}
    return hashlib.sha256(json.dumps(scoring, sort_keys=True).encode()).hexdigest()


def read_json(kind: type[Fitted], uri: str) -> Fitted:
    """Returns a normality model or a calibration. Raises StoreError if it cannot be read, ValueError if it is none."""
    folder, _, name = uri.rpartition("/")
    folder = folder or ("/" if uri.startswith("/") else ".")
    try:
        return from_json(kind, open_store(folder).get(name).decode("utf-8"))
    except ObjectMissingError as error:
        raise StoreError(f"{uri}: no such file; publish the deployment, or name the {name} of its run") from error
    except ValueError as error:
        raise ValueError(f"{uri}: {error}") from error
