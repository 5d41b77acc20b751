"""A TCP proxy that replaces one byte string by another of the same length in the bytes from the client.

Tests use it to make a client of one protocol revision send an older one. The equal lengths keep the HTTP framing valid.
Knows no HTTP and no MCP; bytes from the server pass unchanged.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, HttpServer

CHUNK = 65536


class Replacement:
    """Replaces `old` by `new` in a stream of bytes, across the boundaries of chunks.

    Only bytes at the end of a chunk that may be the beginning of `old` are held back until more arrive. `old` is a
    date, and no HTTP request ends with the beginning of a date, so that no complete request is delayed.
    """

    def __init__(self, old: bytes, new: bytes) -> None:
        assert len(old) == len(new) > 0, "Another length would belie the lengths in the stream"
        self._old = old
        self._new = new
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes that can be passed on now."""
        *before, rest = (self._held + chunk).split(self._old)
        passed = len(rest) - self._beginning_at_end_of(rest)
        self._held = rest[passed:]
        return self._new.join([*before, rest[:passed]])

    def finish(self) -> bytes:
        """Return the held-back bytes at the end of the stream."""
        rest, self._held = self._held, b""
        return rest

    def _beginning_at_end_of(self, data: bytes) -> int:
        lengths = range(len(self._old) - 1, 0, -1)
        return next((length for length in lengths if data.endswith(self._old[:length])), 0)


class _Relay(socketserver.BaseRequestHandler):
    """One connection of a client, and its connection to the server."""

    request: socket.socket
    server: "_Proxy"

    def handle(self) -> None:
        with socket.create_connection((LOOPBACK, self.server.target_port)) as upstream:
            answers = threading.Thread(target=_pump, args=(upstream, self.request), name="answers", daemon=True)
            answers.start()
            _pump(self.request, upstream, Replacement(self.server.old, self.server.new))
            answers.join()


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, target_port: int, old: bytes, new: bytes) -> None:
        super().__init__((LOOPBACK, 0), _Relay)
        self.target_port = target_port
        self.old = old
        self.new = new


def _pump(source: socket.socket, target: socket.socket, replacement: Replacement | None = None) -> None:
    """Pass bytes on until the source ends; when either side fails, close both."""
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(replacement.feed(chunk) if replacement else chunk)
        target.sendall(replacement.finish() if replacement else b"")
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for side in (source, target):
            with suppress(OSError):  # it is closed already
                side.shutdown(socket.SHUT_RDWR)


@contextmanager
def rewriting_proxy(server: HttpServer, old: str, new: str) -> Iterator[HttpServer]:
    """Yield the server behind a proxy that replaces `old` by `new` in the bytes from the client."""
    with _Proxy(server.port, old.encode(), new.encode()) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), name="proxy", daemon=True)
        thread.start()
        try:
            yield HttpServer(server.child, proxy.server_address[1])
        finally:
            proxy.shutdown()
            thread.join(PATIENCE)
