"""HTTP over a plain socket, for requests that no HTTP library would send.

The test writes the bytes: truncated bodies, a wrong Content-Length, malformed chunks, pauses. Responses are read with a
deadline. Knows nothing of MCP.
"""

import http.client
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK


@dataclass(frozen=True)
class RawResponse:
    """One response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def head(verb: str, path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the request line, these headers in the given order with all duplicates, and the blank line."""
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; the empty one ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class RawConnection:
    """One TCP connection to a server on this machine."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, *parts: bytes) -> None:
        """Send these bytes."""
        self._connection.sendall(b"".join(parts))

    def finish_sending(self) -> None:
        """Shut down the sending side; responses can still be read."""
        self._connection.shutdown(socket.SHUT_WR)

    def response(self, seconds: float = PATIENCE, verb: str = "POST") -> RawResponse:
        """Read one complete response.

        Raises:
            TimeoutError: it did not arrive in time.
            http.client.HTTPException, ConnectionError: it is malformed, or the connection ended before it.
        """
        self._connection.settimeout(seconds)
        answer = http.client.HTTPResponse(self._connection, method=verb)
        try:
            answer.begin()
            body = answer.read()
            return RawResponse(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
        finally:
            answer.close()

    def line(self, seconds: float = PATIENCE) -> bytes:
        """Read the next line.

        Raises:
            TimeoutError: it did not arrive in time.
        """
        self._connection.settimeout(seconds)
        line = b""
        while not line.endswith(b"\r\n"):
            byte = self._connection.recv(1)
            assert byte, f"The connection ended after {line!r}"
            line += byte
        return line

    def received(self, seconds: float = PATIENCE) -> bytes:
        """Read until the server closes the connection and return all received bytes.

        Raises:
            TimeoutError: nothing arrived for `seconds` on the open connection.
        """
        self._connection.settimeout(seconds)
        parts: list[bytes] = []
        while True:
            try:
                part = self._connection.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)


@contextmanager
def raw_connection(port: int) -> Iterator[RawConnection]:
    """Yield a connection to a port of the loopback interface."""
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
        yield RawConnection(connection)
