"""TLS of the connection to Triton: the files that it needs, and why a handshake fails."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

PROBE_SECONDS = 2.0
NO_TLS = "it does not speak TLS: leave --tls-ca out"
UNTRUSTED = "its TLS certificate is not trusted"
CLOSED = "it closes the connection after the handshake"


class TlsError(ValueError):
    """A file for TLS cannot be used; the message names it and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. With `certificate` and `key` the client shows who it is (mutual TLS)."""

    ca: Path
    """Certificate of the authority that signed the server's."""
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Returns what the files mean to Python's TLS. Raises TlsError for a file that is missing or is none."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        with _explained("--tls-ca", self.ca):
            context.load_verify_locations(self.ca)
        if (self.certificate is None) != (self.key is None):
            raise TlsError("--tls-cert and --tls-key belong together: give both, or neither")
        if self.certificate is not None and self.key is not None:
            for option, path in (("--tls-cert", self.certificate), ("--tls-key", self.key)):
                with _explained(option, path):
                    path.read_bytes()
            with _explained("--tls-cert and --tls-key", self.certificate):
                # Without a password OpenSSL would ask the terminal for one.
                context.load_cert_chain(self.certificate, self.key, password="")
        return context

    def options(self) -> dict[str, str | bool | None]:
        """Returns arguments of tritonclient's gRPC client. Raises TlsError."""
        self.context()
        return {
            "ssl": True,
            "root_certificates": str(self.ca),
            "certificate_chain": str(self.certificate) if self.certificate else None,
            "private_key": str(self.key) if self.key else None,
        }


def trouble(url: str, tls: Tls | None) -> str | None:
    """Returns what is wrong with TLS between this client and the server at `url` (host:port).

    None where nobody listens there and where nothing is wrong: it makes a handshake of its own, since gRPC says of most
    failures no more than that a connection was closed.
    """
    host, _, port = url.rpartition(":")
    if tls is not None:
        context = tls.context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((host, int(port)), PROBE_SECONDS) as plain:
            told = _handshake(plain, context, host)
    except (OSError, ValueError):
        return None
    if tls is None:
        return None if told == NO_TLS else "it speaks TLS: give the CA of its certificate with --tls-ca"
    if told == CLOSED and tls.certificate is None:
        return f"{told}: it asks for a client certificate; give one with --tls-cert and --tls-key"
    if told == CLOSED:
        return f"{told}: it refuses {tls.certificate}; give one of a CA that it trusts, not expired, with --tls-cert"
    if told is not None and told.startswith(UNTRUSTED):
        return f"{told}: {tls.ca} did not sign it, or it is for another name; give its CA with --tls-ca"
    return told


def _handshake(plain: socket.socket, context: ssl.SSLContext, host: str) -> str | None:
    """Returns how a handshake ends, None where it succeeds."""
    try:
        secure = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return f"{UNTRUSTED} ({error.verify_message})"
    except (ssl.SSLError, ConnectionError):
        return NO_TLS
    with secure:
        try:
            # A gRPC server speaks first. One that wants another certificate closes, by TLS 1.3 after the handshake.
            return None if secure.recv(1) else CLOSED
        except (ssl.SSLError, ConnectionError):
            return CLOSED


@contextlib.contextmanager
def _explained(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        raise TlsError(f"{option} {path}: no PEM file of that kind ({error.reason}); give another") from None
    except OSError as error:
        raise TlsError(f"{option} {path}: cannot be read ({error.strerror}); correct the path") from None
