"""The ports of the embedded Triton, on the loopback interface."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket

HOST = "127.0.0.1"


class PortError(RuntimeError):
    """A port that the server cannot have; the message names it and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """One port for each protocol."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    @classmethod
    def free(cls) -> Ports:
        """Returns three ports that nothing uses at the moment."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            for sock in sockets:
                sock.bind((HOST, 0))
            return cls(*(sock.getsockname()[1] for sock in sockets))

    def check(self) -> None:
        """Raises PortError for a port that is in use or not permitted."""
        for protocol, port in dataclasses.asdict(self).items():
            with socket.socket() as sock:
                # As the server itself binds: connections that linger from an earlier run don't count as in use.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind((HOST, port))
                except OSError as error:
                    if error.errno == errno.EACCES:
                        raise PortError(f"port {port} ({protocol}): not permitted; give one above 1023") from None
                    raise PortError(
                        f"port {port} ({protocol}) is in use: end the program that listens there "
                        f"(`ss -ltnp 'sport = :{port}'` shows it) or serve with --{protocol}-port"
                    ) from None
