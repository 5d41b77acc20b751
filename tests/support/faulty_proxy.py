"""A TCP proxy whose faults a test chooses: it passes bytes on, keeps them back, resets connections, or is slow.

Owns its listener and its connections, on threads of its own. Knows no protocol.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK

Fault = Literal["none", "silent", "reset", "slow"]
_LINGER_NONE = struct.pack("ii", 1, 0)  # close with RST
_TURN_SECONDS = 0.01


class FaultyProxy(threading.Thread):
    """Serves one port; `fault` is in force at once, for open connections, too."""

    def __init__(self, target: int) -> None:
        super().__init__(name="faulty-proxy", daemon=True)
        self.fault: Fault = "none"
        self.delay = 0.0  # seconds for which `slow` holds back each chunk
        self.refused = 0  # connections that were reset when they were made
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self._open: set[socket.socket] = set()
        self.port = int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The URL of the Redis behind it."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def run(self) -> None:
        """Accept connections until `stop`."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.fault == "reset":
                    _reset(client)
                    self.refused += 1
                    continue
                try:
                    server = socket.create_connection((LOOPBACK, self._target), PATIENCE)
                except OSError:  # what is behind it has ended
                    _reset(client)
                    continue
                server.settimeout(None)
                self._open |= {client, server}
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def begin(self, fault: Fault, delay: float = 0.0) -> None:
        """Set the fault; `reset` also resets what is open."""
        self.fault, self.delay = fault, delay
        if fault == "reset":
            self._reset_all()

    def stop(self) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def _reset_all(self) -> None:
        for connection in tuple(self._open):
            _reset(connection)
        self._open.clear()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                if self.fault == "slow":
                    time.sleep(self.delay)  # the fault itself
                while self.fault == "silent":
                    time.sleep(_TURN_SECONDS)
                sink.sendall(content)
        for connection in (source, sink):
            self._open.discard(connection)
            _reset(connection)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()


@contextmanager
def faulty_proxy(target: int) -> Iterator[FaultyProxy]:
    """Run a proxy in front of a port of this machine until the end of the block."""
    proxy = FaultyProxy(target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        proxy.join(PATIENCE)
