"""A conversation over a Unix socket: one of several connections to a server.

A thread reads continuously, so that a full socket never blocks the server. The test half-closes and closes the
connection.
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
        """Shut down the sending side; replies can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):  # the server has closed it first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE)
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as lines:
            self._inbox.fill(lines)
        self._inbox.end(f"The connection ended; stderr:\n{self.child.stderr()[-2000:]}")
