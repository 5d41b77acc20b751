"""Draining: refuses new WebSocket connections and event streams during a graceful shutdown.

Single requests are refused by their outlets instead (docs/adr/0014).
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from tfo_mcp.presentation.protocol.faults import draining, encode_fault
from tfo_mcp.presentation.server import Server
from tfo_mcp_transports.network.authentication import RETRY_LATER
from tfo_mcp_transports.network.responses import answer, upgrade_refusal

_BODY = encode_fault(draining().fault, None)


class Draining:
    """Passes requests to an endpoint until the server stops; then answers 503 with Retry-After."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or answer 503."""
        if not self._server.stopping.is_set():
            await self._app(scope, receive, send)
            return
        answering = upgrade_refusal(send) if scope["type"] == "websocket" else send
        await answer(answering, 503, _BODY, b"application/json", RETRY_LATER)
