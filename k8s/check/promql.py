"""Expressions of Prometheus, and the metrics that they name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

OWN = frozenset(
    {
        "stmae_batch_units_total",
        "stmae_batch_sources_total",
        "stmae_batch_frames_scored_total",
        "stmae_batch_seconds_scored_total",
        "stmae_batch_failures_total",
        "stmae_batch_bytes_read_total",
        "stmae_batch_events_total",
        "stmae_batch_work_left_bytes",
        "stmae_batch_archive_lag_seconds",
        "stmae_batch_last_success_timestamp_seconds",
        "stmae_models_current_info",
        "stmae_models_sync_failures_total",
        "stmae_models_healthy",
    }
)
"""Metrics of the nightly job and of the sidecar (docs/observability.md)."""
FOREIGN = frozenset(
    {
        # Triton
        "nv_inference_request_success",
        "nv_inference_request_failure",
        "nv_inference_count",
        "nv_inference_queue_duration_us",
        "nv_inference_compute_infer_duration_us",
        "nv_inference_request_duration_us",
        "nv_inference_pending_request_count",
        "nv_gpu_utilization",
        "nv_gpu_memory_used_bytes",
        "nv_gpu_memory_total_bytes",
        # kube-state-metrics
        "kube_job_failed",
        "kube_job_status_start_time",
        "kube_job_status_completion_time",
        "kube_namespace_created",
    }
)
"""Metrics that others make and that alerts and dashboards may name."""
_VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1d"}
"""Variables of Grafana, with a value that each could have."""


class ExpressionError(ValueError):
    """An expression that does not parse; the message is the parser's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """A metric that an expression names, with its matchers."""

    metric: str
    labels: Mapping[str, str]
    """The text that each label is compared with, whatever the comparison."""


def selectors(expression: str) -> list[Selector]:
    """Returns the metrics that an expression names. Raises ExpressionError."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    try:
        tree = promql_parser.parse(re.sub(r"\s+", " ", expression))
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    return list(_selectors(tree))


def _selectors(node: Any) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        matchers = {matcher.name: matcher.value for matcher in node.matchers.matchers}
        yield Selector(node.name or matchers.get("__name__", ""), matchers)
    elif isinstance(node, promql_parser.MatrixSelector):
        yield from _selectors(node.vector_selector)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _selectors(node.lhs)
        yield from _selectors(node.rhs)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _selectors(argument)
    elif isinstance(
        node,
        promql_parser.AggregateExpr | promql_parser.ParenExpr | promql_parser.UnaryExpr | promql_parser.SubqueryExpr,
    ):
        yield from _selectors(node.expr)
