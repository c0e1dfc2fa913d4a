"""Spans of a run for OpenTelemetry: the run, its camera-hours, and the parts of each.

They are sent where OTEL_EXPORTER_OTLP_ENDPOINT names a receiver (OTLP over HTTP). Without it nothing is imported and a
span costs nothing. The exporter's other variables hold too, e.g. OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SERVICE = "stmae-batch"
"""The service's name, unless OTEL_SERVICE_NAME gives another."""
SPANS: Mapping[str, str] = {
    "stmae.run": "a run, from listing the archive to its row in `runs`",
    "stmae.unit": "a camera-hour, with all attempts at it",
    "stmae.download": "the local copy of a source",
    "stmae.score": "decoding the recordings of a camera-hour and asking the server, which go on side by side",
    "stmae.write": "writing the rows and pictures of a camera-hour",
}
"""Every span by its name."""
FLUSH_MILLISECONDS = 5_000
"""Longest wait of a process that ends for a receiver that does not answer."""


class TraceError(RuntimeError):
    """Spans are asked for and cannot be sent; the message says the mend."""


class Span:
    """A span that is open, or none where nobody asked for spans."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **attributes: str | float) -> None:
        """Adds attributes; their names get the prefix `stmae.`."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def fail(self, why: str) -> None:
        """Marks it as an error that was not raised."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, why))


@contextlib.contextmanager
def span(name: str, traceparent: str = "", **attributes: str | float) -> Iterator[Span]:
    """Opens one of SPANS below the span that is open, or below the one of `traceparent` (W3C).

    What is raised within it is recorded in it. Raises TraceError where the packages for it are missing.
    """
    provider = _provider()
    if provider is None:
        yield Span()
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
    tracer = provider.get_tracer("stmae")
    with tracer.start_as_current_span(name, context=context, attributes=_named(attributes)) as opened:
        yield Span(opened)


def headers() -> dict[str, str]:
    """Returns the header `traceparent` of the span that is open; nothing where there is none."""
    carrier: dict[str, str] = {}
    if _provider() is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def flush() -> None:
    """Sends what was not sent yet: a process that is ended by others runs nothing at its end."""
    provider = _provider()
    if provider is not None:
        provider.force_flush(FLUSH_MILLISECONDS)


def _named(attributes: Mapping[str, str | float]) -> dict[str, str | float]:
    return {f"stmae.{name}": value for name, value in attributes.items()}


@functools.cache
def _provider() -> Any:
    """Returns what makes and sends spans in this process, None where no receiver is named."""
    if not os.environ.get(ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TraceError(f"{ENDPOINT} is set, but {error}: pip install 'stmae[trace]', or unset it") from None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
