"""A small receiver of OpenTelemetry's protocol (OTLP over HTTP) on the loopback interface."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver(ThreadingHTTPServer):
    """Keeps every span that is sent to it for as long as its context lasts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.spans: list[Any] = []
        self.trace_ids: dict[str, set[bytes]] = {}
        """Those of the spans that came as JSON, as Triton sends them, by their names."""
        self.services: set[str] = set()
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


class Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if "json" in self.headers["Content-Type"]:
            for resource in json.loads(body)["resourceSpans"]:
                for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                    self.server.trace_ids.setdefault(span["name"], set()).add(bytes.fromhex(span["traceId"]))
            body = b""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.services |= {value(each) for each in resource.resource.attributes if each.key == "service.name"}
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.server.headers.append(dict(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def value(attribute: Any) -> Any:
    return getattr(attribute.value, attribute.value.WhichOneof("value"))


def attributes(span: Any) -> dict[str, Any]:
    """Returns the attributes of a span by their names."""
    return {each.key: value(each) for each in span.attributes}
