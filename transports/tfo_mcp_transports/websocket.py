"""WebSocket: one JSON-RPC message per text frame, subprotocol `mcp`, both eras (docs/protocol.md, WebSocket).

Owns the subprotocol of the handshake, the accepted kinds of frame, and the close codes. The WebSocket protocol below
handles pings, size limits and stalled clients; the peer handles the messages.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.server import Server
from tfo_mcp_transports.connection import Connection, Ending
from tfo_mcp_transports.network.authentication import HttpAuthentication, address_of
from tfo_mcp_transports.network.connection_state import when_lost
from tfo_mcp_transports.network.responses import refuse, upgrade_refusal

SUBPROTOCOL = "mcp"
_WEBSOCKET = Transport("websocket", "tcp", "websocket")
_CODES: Mapping[Ending, int] = {  # RFC 6455, 7.4.1 and its registry
    Ending.SHUTDOWN: 1000,
    Ending.STOPPING: 1012,
    Ending.REVOKED: 3000,
}
_NOT_TEXT = 1003


class WebSocketTransport:
    """Serves WebSocket connections."""

    def __init__(self, server: Server, authentication: HttpAuthentication) -> None:
        self._server = server
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        if scope["type"] == "http":
            await refuse(send, 426, "Connect with a WebSocket (subprotocol mcp)", [(b"upgrade", b"websocket")])
            return
        offered = scope["subprotocols"]
        if offered and SUBPROTOCOL not in offered:
            await refuse(upgrade_refusal(send), 400, f"Offer the subprotocol {SUBPROTOCOL}, or none")
            return
        caller = await self._authentication.authenticate(scope, upgrade_refusal(send), _WEBSOCKET)
        if caller is None:
            return
        facts = Facts(_WEBSOCKET, caller, address=address_of(scope))
        give_back = await self._authentication.take_stream(scope, upgrade_refusal(send), facts)
        if give_back is None:
            return
        try:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
            client = _Client(self._server, facts, receive, send)
            when_lost(scope, client.leave)
            await client.serve()
        finally:
            give_back()


class _Client:
    """One WebSocket connection."""

    def __init__(self, server: Server, facts: Facts, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._connection = Connection(server, facts, self._send_text, self._end)
        self._closing: asyncio.Task[None] | None = None
        self._closed = False

    async def serve(self) -> None:
        """Serve until the client or the server closes the connection."""
        async with self._connection.serving():
            while await self._take_next():
                await self._connection.room()
                if self._connection.has_left:
                    break
        if self._closing is not None:
            await self._closing

    async def _take_next(self) -> bool:
        """Serve the next message, without a reference to it afterwards; return whether the connection is open."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return False
        text = message.get("text")
        if text is None:
            await self._close(_NOT_TEXT, "Send text frames")
            return False
        self._connection.take(text.encode())
        return True

    def leave(self) -> None:
        """Record that the client has disconnected."""
        self._connection.leave()

    async def _send_text(self, frame: bytes) -> None:
        if not self._closed:
            await self._send({"type": "websocket.send", "text": frame.decode()})

    def _end(self, ending: Ending) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(_CODES[ending], ending.value))

    async def _close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            with suppress(OSError):  # the client has closed the connection first
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
