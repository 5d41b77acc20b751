"""A conversation over a WebSocket: one message per text frame, subprotocol `mcp`.

A thread takes the frames as they come. The codes and reasons that the server ends a connection with are kept for the
test. Knows neither era nor revision.
"""

import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.processes import HttpServer


@contextmanager
def websocket(server: HttpServer, **options: Any) -> Iterator[ClientConnection]:
    """Yield a connection that offers the subprotocol; `options` are those of `websockets`, which stand over ours."""
    ours: dict[str, Any] = {
        "subprotocols": [Subprotocol("mcp")],
        "proxy": None,
        "compression": None,
        "max_size": None,
        "open_timeout": PATIENCE,
        "close_timeout": PATIENCE,
    }
    with connect(server.websocket_url, **{**ours, **options}) as connection:
        yield connection


def masked_frame(first: int, data: bytes = b"") -> bytes:
    """Return a frame that is masked with zeros (RFC 6455, 5.3); `first` is its first byte."""
    if len(data) < 126:
        return bytes([first, 0x80 | len(data)]) + b"\0\0\0\0" + data
    return bytes([first, 0x80 | 127]) + struct.pack(">Q4x", len(data)) + data


class WebSocketConversation(Conversation):
    """The client of one connection."""

    transport = "websocket"
    ordered = True

    def __init__(self, server: HttpServer, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(server.child, revision, capabilities)
        self.last_frame = ""
        self._open = ExitStack()
        self.socket = self._open.enter_context(websocket(server, max_queue=None))
        self._reader = threading.Thread(target=self._read, name="websocket-reader", daemon=True)
        self._reader.start()

    @property
    def closed_with(self) -> Close | None:
        """What the server closed the connection with, once it has; None if it hung up without a word."""
        return self.socket.protocol.close_rcvd

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """Send one text frame."""
        self.socket.send(frame, text=True)

    def close(self) -> None:
        """Close the connection."""
        self._open.close()
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        try:
            self._inbox.fill(self._frames())
        except ConnectionClosed as end:
            self._inbox.end(f"The connection was closed ({end}); stderr:\n{self.child.stderr()[-2000:]}")

    def _frames(self) -> Iterator[str]:
        while True:
            frame = self.socket.recv()
            assert isinstance(frame, str), f"A binary frame: {frame!r}"
            self.last_frame = frame
            yield frame
