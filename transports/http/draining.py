"""Draining: a server that comes to its end begins nothing new, and says so as proxies and clients expect it.

What belongs to a session goes on: it lives in this process, and nobody else can serve it.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.presentation.protocol.faults import Fault, Kind, encode_fault
from app.presentation.protocol.revisions import LATEST_HANDSHAKE
from app.presentation.server import Server
from transports.answers import answer, upgrade_refusal

_FAULT = Fault(Kind.SHUTTING_DOWN, "The server is shutting down: try again in a second", retryAfterMs=1000)
_BODY = encode_fault(_FAULT, None, LATEST_HANDSHAKE)
_HEADERS = ((b"retry-after", b"1"), (b"connection", b"close"))
_SESSION = b"mcp-session-id"


class Draining:
    """Lets requests through to an endpoint until the server stops, then only those of sessions; others are told 503.

    A request that is refused so has not been begun: to send it again, elsewhere, does nothing twice.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or answer 503."""
        if self._server.stopping.is_set() and not any(name == _SESSION for name, _ in scope["headers"]):
            answering = upgrade_refusal(send) if scope["type"] == "websocket" else send
            await answer(answering, 503, _BODY, b"application/json", _HEADERS)
            return
        await self._app(scope, receive, send)
