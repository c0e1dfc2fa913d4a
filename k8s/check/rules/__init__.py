"""The rules. Each takes an overlay and yields a check for everything that it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from k8s.check import pods, schema
from k8s.check.overlay import Check, Overlay
from k8s.check.rules import (
    alerts,
    containers,
    dashboard,
    kinds,
    network,
    references,
    schedules,
    security,
    selection,
    values,
)

Rule = Callable[[Overlay], Iterator[Check]]

RULES: tuple[Rule, ...] = (
    schema.valid,
    pods.unknown,
    security.restricted,
    security.accounts,
    containers.images,
    containers.resources,
    containers.probes,
    containers.environment,
    containers.order,
    containers.shutdown,
    kinds.names,
    kinds.enumerations,
    kinds.quantities,
    references.secrets,
    references.configuration,
    references.volumes,
    references.roles,
    selection.workloads,
    selection.services,
    selection.monitors,
    selection.scaling,
    network.policies,
    schedules.crons,
    schedules.deadlines,
    schedules.apart,
    schedules.told,
    values.filled,
    alerts.alerts,
    dashboard.dashboards,
)
