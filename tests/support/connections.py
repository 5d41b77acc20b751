"""Plain connections from chosen loopback addresses, and a second client that measures the server meanwhile.

The tests write what hostile clients send; this module measures the effect on others.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import RawConnection

HOSTILE = "127.0.0.2"
OTHER = "127.0.0.3"
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
QUICK = 1.0  # seconds within which the product promises to answer other clients
_PAUSE_SECONDS = 0.01


def connect(port: int, address: str = HOSTILE) -> socket.socket:
    """Connect from an address."""
    return socket.create_connection((LOOPBACK, port), PATIENCE, source_address=(address, 0))


@contextmanager
def connection_from(port: int, address: str = HOSTILE) -> Iterator[RawConnection]:
    """Yield a connection from an address."""
    with connect(port, address) as opened:
        yield RawConnection(opened)


@dataclass
class Neighbour:
    """The measurements of another client."""

    worst: float = 0.0
    """Duration of the slowest response, in seconds."""
    answers: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def neighbour(server: HttpServer, address: str = OTHER) -> Iterator[Neighbour]:
    """Run another client that requests the health repeatedly, each time on a new connection, until the block ends."""
    seen, over = Neighbour(), Event()

    def ask() -> None:
        while not over.wait(_PAUSE_SECONDS):
            began = monotonic()
            try:
                with connection_from(server.port, address) as asking:
                    asking.send(PROBE)
                    status = asking.response(verb="GET").status
                if status != 200:
                    seen.failures.append(str(status))
            except OSError as problem:
                seen.failures.append(repr(problem))
            seen.answers += 1
            seen.worst = max(seen.worst, monotonic() - began)

    asking = Thread(target=ask, name="neighbour")
    asking.start()
    try:
        yield seen
    finally:
        over.set()
        asking.join()


def send_until_ended(opened: socket.socket, data: bytes, seconds: float) -> int:
    """Send `data` repeatedly until the server closes the connection or `seconds` pass; return the sent bytes."""
    ends, sent = monotonic() + seconds, 0
    opened.settimeout(0.2)
    with suppress(ConnectionError):
        while monotonic() < ends:
            with suppress(TimeoutError):
                sent += opened.send(data)
    return sent
