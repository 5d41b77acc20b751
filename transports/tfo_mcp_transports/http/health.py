"""GET /healthz, /readyz and /metrics: liveness, readiness and Prometheus metrics."""

from abc import ABC, abstractmethod

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from tfo_mcp.presentation.server import Server
from tfo_mcp_transports.http.streamable import HTTP
from tfo_mcp_transports.network.authentication import HttpAuthentication, is_forwarded
from tfo_mcp_transports.network.request_headers import headers_of
from tfo_mcp_transports.network.responses import answer, refuse

_RETRY = (b"retry-after", b"1")
_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


class _Page(ABC):
    """Answers GET and HEAD."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await refuse(send, 405, "Use GET", [(b"allow", b"GET, HEAD")])
        elif await self._may_see(scope, send):
            await self._show(send)

    async def _may_see(self, scope: Scope, send: Send) -> bool:
        """Return whether the request may see the page; when not, an error response has been sent."""
        return True

    @abstractmethod
    async def _show(self, send: Send) -> None: ...


class HealthPage(_Page):
    """Answers 200 while the process is alive, with the server's state as JSON."""

    async def _show(self, send: Send) -> None:
        await answer(send, 200, to_json(await self._server.health()), b"application/json")


class ReadinessPage(_Page):
    """Answers 200 when the server can serve requests and 503 when not, with the reasons as JSON."""

    async def _show(self, send: Send) -> None:
        readiness = await self._server.readiness()
        ready = readiness["status"] in ("ready", "degraded")
        await answer(send, 200 if ready else 503, to_json(readiness), b"application/json", () if ready else (_RETRY,))


class Metrics(_Page):
    """Answers with the metrics in the Prometheus text format if the settings enable them.

    A direct request needs no credentials; a request that a proxy has forwarded must authenticate like any caller.
    """

    def __init__(self, server: Server, authentication: HttpAuthentication) -> None:
        super().__init__(server)
        self._authentication = authentication

    async def _may_see(self, scope: Scope, send: Send) -> bool:
        if not is_forwarded(headers_of(scope).by_name.keys()):
            return True
        return await self._authentication.authenticate(scope, send, HTTP) is not None

    async def _show(self, send: Send) -> None:
        text = self._server.metrics()
        if text is None:
            await refuse(send, 404, "Metrics are disabled (setting telemetry.prometheus)")
        else:
            await answer(send, 200, text, _EXPOSITION)
