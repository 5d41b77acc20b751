"""GET /healthz: the process answers."""

from collections.abc import Mapping

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from app.presentation.server import Server
from transports.answers import answer, refuse


class Health:
    """Answers how the server is, as JSON."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if scope["method"] not in ("GET", "HEAD"):
            await refuse(send, 405, "Use GET", [(b"allow", b"GET, HEAD")])
            return
        health: Mapping[str, object] = await self._server.health()
        await answer(send, 200, to_json(health), b"application/json")
