"""The ASGI application: routes, guards and lifespan around a server.

`create_app` is for any ASGI server; `tfo-mcp serve` runs it on uvicorn.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.bootstrap import Server, Settings
from transports.http.guards import Guards
from transports.http.health import Health
from transports.http.streamable import StreamableHttp

MCP_PATH = "/mcp"
HEALTH_PATH = "/healthz"


def create_app(server: Server, settings: Settings) -> ASGIApp:
    """Return the application that serves `server` as the settings say."""
    section = settings.server
    endpoint = StreamableHttp(
        server, max_body_bytes=section.max_body_bytes, keep_alive_seconds=section.keep_alive_seconds
    )
    rest = Starlette(routes=[Route(HEALTH_PATH, Health(server))], lifespan=partial(_lifespan, server, endpoint))
    return Guards(_EndpointFirst(endpoint, rest), section.allowed_hosts, section.allowed_origins)


class _EndpointFirst:
    """Asks the MCP endpoint, which carries the load, before Starlette's routing and error handling (docs/adr/0005)."""

    def __init__(self, endpoint: StreamableHttp, rest: Starlette) -> None:
        self._endpoint = endpoint
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == MCP_PATH:
            await self._endpoint(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


@asynccontextmanager
async def _lifespan(server: Server, endpoint: StreamableHttp, _app: Starlette) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks, endpoint.running():
        tasks.start_soon(server.keep_house)
        yield
        server.stop()
        tasks.cancel_scope.cancel()
    await server.close()
