"""A conversation over a Unix socket: one connection of one of the clients that a server has.

A thread reads all the time, so that a full socket never blocks the server. Half-closing and hanging up are the test's.
"""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.support.deadlines import PATIENCE
from tests.support.line_conversation import LineConversation
from tests.support.processes import UnixServer


class UnixConversation(LineConversation):
    """The client of one connection."""

    transport = "unix"

    def __init__(self, server: UnixServer, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(server.child, revision, capabilities)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server.path))
        self._reader = threading.Thread(target=self._read, name="socket-reader", daemon=True)
        self._reader.start()

    def write(self, raw: bytes) -> None:
        """Write to the socket."""
        self._socket.sendall(raw)

    def finish_sending(self) -> None:
        """Say that nothing more comes; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):  # the server was quicker
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE)
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as lines:
            self._inbox.fill(lines)
        self._inbox.end(f"The connection ended; stderr:\n{self.child.stderr()[-2000:]}")
