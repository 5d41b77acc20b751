"""The ASGI application: routes, guards and lifespan around a server.

`create_app` is for any ASGI server; `tfo-mcp serve` runs it on uvicorn.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from app.bootstrap import Server, Settings
from transports.http.guards import Guards
from transports.http.health import Health
from transports.http.streamable import StreamableHttp

MCP_PATH = "/mcp"
HEALTH_PATH = "/healthz"


def create_app(server: Server, settings: Settings) -> Starlette:
    """Return the application that serves `server` as the settings say."""
    section = settings.server
    endpoint = StreamableHttp(
        server, max_body_bytes=section.max_body_bytes, keep_alive_seconds=section.keep_alive_seconds
    )
    return Starlette(
        routes=[Route(MCP_PATH, endpoint), Route(HEALTH_PATH, Health(server))],
        middleware=[Middleware(Guards, section.allowed_hosts, section.allowed_origins)],
        lifespan=partial(_lifespan, server, endpoint),
    )


@asynccontextmanager
async def _lifespan(server: Server, endpoint: StreamableHttp, _app: Starlette) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks, endpoint.running():
        tasks.start_soon(server.keep_house)
        yield
        server.stop()
        tasks.cancel_scope.cancel()
    await server.close()
