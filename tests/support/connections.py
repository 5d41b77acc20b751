"""Plain connections from chosen addresses of the loopback interface, and another client that keeps asking meanwhile.

What hostile clients send is the tests' business; what others notice of it is measured here.
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
QUICK = 1.0  # seconds, the product's promise to others
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
    """What another client has seen."""

    worst: float = 0.0
    """Seconds that the slowest answer took."""
    answers: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def neighbour(server: HttpServer, address: str = OTHER) -> Iterator[Neighbour]:
    """Let another client ask for the health again and again, on a new connection each time, until the block ends."""
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
    """Send the same again and again until the server hangs up, or for so long; return how much it took."""
    ends, sent = monotonic() + seconds, 0
    opened.settimeout(0.2)
    with suppress(ConnectionError):
        while monotonic() < ends:
            with suppress(TimeoutError):
                sent += opened.send(data)
    return sent
