"""A proxy before an S3 server: hands requests and answers on as they are, and spoils those that a test chooses."""

from __future__ import annotations

import dataclasses
import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """A connection of a client, with one request after the other."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def pass_on(self) -> Answer:
        """Asks the server behind the proxy."""
        behind = http.client.HTTPConnection(self.server.behind)
        try:
            # The Host header stays too: it is signed.
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":  # it was met already
                    behind.putheader(name, value)
            behind.endheaders(self.body)
            answer = behind.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            behind.close()

    def reply(self, answer: Answer, bytes_sent: int | None = None) -> None:
        """Sends an answer, or only so many bytes of its body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            # What holds for one connection is not handed on: "Connection: Keep-Alive" would undo `close_connection`.
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "keep-alive"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:bytes_sent])
        self.wfile.flush()

    def reply_half(self) -> None:
        """Sends the first half of the server's answer; the connection is of no use afterwards."""
        answer = self.pass_on()
        self.close_connection = True
        if answer.body:
            self.reply(answer, len(answer.body) // 2)

    def exchange(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault_of(f"{self.command} {self.path}")
        if fault is not None:
            fault(self)
        else:
            self.reply(self.pass_on())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = exchange  # noqa: N815 (http.server looks for these names)

    def log_message(self, *_: Any) -> None:
        pass


Fault = Callable[[Exchange], None]


def refuse(status: int, code: str) -> Fault:
    """Answers with an error of S3."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>by a test</Message></Error>'
    answer = Answer(status, [("Content-Type", "application/xml")], body.encode())
    return lambda exchange: exchange.reply(answer)


def cut(exchange: Exchange) -> None:
    """Ends the connection in the middle of an answer."""
    exchange.reply_half()


def reset(exchange: Exchange) -> None:
    """Resets the connection in the middle of an answer."""
    exchange.reply_half()
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stall(exchange: Exchange) -> None:
    """Sends half of an answer, and then nothing until the client gives up."""
    exchange.reply_half()
    exchange.rfile.read(1)


def at_once(action: Callable[[], object]) -> Fault:
    """Does something while a request is under way, which is then answered."""

    def fault(exchange: Exchange) -> None:
        action()
        exchange.reply(exchange.pass_on())

    return fault


@dataclasses.dataclass(slots=True)
class _Rule:
    requests: re.Pattern[str]
    fault: Fault
    times: int | None


class Proxy(ThreadingHTTPServer):
    """Listens on a free loopback port for as long as its context lasts."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.behind = urlsplit(endpoint).netloc
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def spoil(self, requests: str, fault: Fault, times: int | None = None) -> None:
        """Spoils the next so many requests, or all, in whose `METHOD /bucket/key?query` the expression is found."""
        with self._lock:
            self._rules.append(_Rule(re.compile(requests), fault, times))

    def spoil_from(self, requests: str, fault: Fault) -> None:
        """Spoils the next request in which the expression is found, and all that come after it."""

        def first(exchange: Exchange) -> None:
            self.spoil("", fault)
            fault(exchange)

        self.spoil(requests, first, times=1)

    def heal(self) -> None:
        """Spoils nothing from now on."""
        with self._lock:
            self._rules.clear()

    def fault_of(self, request: str) -> Fault | None:
        """Returns what a request meets, which is then one time fewer left."""
        with self._lock:
            for rule in self._rules:
                if rule.times != 0 and rule.requests.search(request):
                    rule.times = None if rule.times is None else rule.times - 1
                    return rule.fault
        return None

    def handle_error(self, *_: object) -> None:
        pass  # a client that hangs up is no news

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # and no end of the stream before it, which would hide a reset
