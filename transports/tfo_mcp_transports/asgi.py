"""The ASGI application: routes every network transport of one server on one port.

Owns the paths, the middleware around them (host validation, CORS, path prefix, proxy headers) and the lifespan.
`create_app` is for any ASGI server; `tfo-mcp serve` runs it on uvicorn. Knows no message.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tfo_mcp.bootstrap import ConfigurationError, Server, Settings
from tfo_mcp_transports.http.health import HealthPage, Metrics, ReadinessPage
from tfo_mcp_transports.http.legacy_sse import LegacySseTransport
from tfo_mcp_transports.http.playground import Playground
from tfo_mcp_transports.http.streamable import StreamableHttp
from tfo_mcp_transports.network.authentication import METADATA_PATH, HttpAuthentication, ProtectedResource
from tfo_mcp_transports.network.cors import cross_origin
from tfo_mcp_transports.network.drain import Draining
from tfo_mcp_transports.network.host_validation import Guards
from tfo_mcp_transports.network.path_prefix import PathPrefix
from tfo_mcp_transports.network.proxy_headers import Forwarded
from tfo_mcp_transports.network.responses import refuse, upgrade_refusal
from tfo_mcp_transports.websocket import WebSocketTransport

MCP_PATH = "/mcp"
WEBSOCKET_PATH = "/ws"
SSE_PATH = "/sse"
MESSAGES_PATH = "/messages"
HEALTH_PATH = "/healthz"
READINESS_PATH = "/readyz"
METRICS_PATH = "/metrics"
PLAYGROUND_PATH = "/"
_BESIDE_SECONDS = 0.3  # in addition to the drain time of calls

Beside = Callable[[], Coroutine[None, None, None]]
"""Serves another transport of the same server until the server stops."""


def network_transports(settings: Settings) -> Mapping[str, str]:
    """Return the path of each network transport and page that is served, by its name, beneath `server.base_path`.

    Raises:
        ConfigurationError: the settings disable every transport.
    """
    section = settings.server
    transports = {
        "streamable_http": (MCP_PATH, section.streamable_http),
        "websocket": (WEBSOCKET_PATH, section.websocket),
        "sse": (SSE_PATH, section.sse),
    }
    asked = {section.transport} & transports.keys() or transports.keys()
    served = {name: path for name, (path, wanted) in transports.items() if wanted and name in asked}
    if not served:
        names = ", ".join(f"server.{name}" for name in sorted(asked))
        raise ConfigurationError((f"Nothing is left to serve: every transport is disabled (settings {names})",))
    if _shows_playground(settings) and "websocket" in served:
        served["playground"] = PLAYGROUND_PATH
    return {name: section.base_path + path for name, path in {**served, "health": HEALTH_PATH}.items()}


def create_app(server: Server, settings: Settings, beside: Sequence[Beside] = ()) -> ASGIApp:
    """Return the ASGI application that serves `server` according to the settings.

    Args:
        server: handles the messages.
        settings: the settings in effect.
        beside: further transports of the same process, run for as long as the application.

    Raises:
        ConfigurationError: the settings disable every transport.
    """
    section, transports = settings.server, network_transports(settings)
    limits = section.max_body_bytes, section.keep_alive_seconds
    authentication = _authentication(server, settings)
    endpoints: dict[str, ASGIApp] = {}
    routes: list[BaseRoute] = [
        Route(HEALTH_PATH, HealthPage(server)),
        Route(READINESS_PATH, ReadinessPage(server)),
        Route(METRICS_PATH, Metrics(server, authentication)),
    ]
    routes += [Route(path, _Metadata(authentication)) for path in _metadata_paths(section.base_path)]
    paths = [path for name, path in transports.items() if name in ("streamable_http", "websocket", "sse")]
    elsewhere = f"MCP is served at {' and '.join(paths)}"
    lasting: list[AbstractAsyncContextManager[None]] = [server.running()]
    if "streamable_http" in transports:
        streamable = StreamableHttp(server, authentication, *limits)
        endpoints[MCP_PATH] = streamable
        lasting.append(streamable.running())
    if "websocket" in transports:
        endpoints[WEBSOCKET_PATH] = Draining(WebSocketTransport(server, authentication), server)
    if "sse" in transports:
        sse = LegacySseTransport(server, authentication, MESSAGES_PATH, *limits)
        endpoints |= {SSE_PATH: Draining(sse.stream, server), MESSAGES_PATH: sse.messages}
        lasting.append(sse.running())
    if "playground" in transports:
        page = Playground(elsewhere, lambda: server.hidden_tools)
        routes += [Route(PLAYGROUND_PATH, page), Route("/playground/{name}", page)]
    rest = Starlette(routes=routes, lifespan=partial(_lifespan, server, lasting, beside))
    rest.router.redirect_slashes = False
    rest.router.default = partial(_nothing_here, elsewhere)
    inner: ASGIApp = _EndpointsFirst(endpoints, rest)
    if section.allowed_origins:
        inner = cross_origin(inner, section.allowed_origins)
    app: ASGIApp = Guards(inner, section.allowed_hosts, section.allowed_origins)
    if section.base_path:
        app = PathPrefix(app, section.base_path)
    return Forwarded(app, section.trusted_proxies) if section.trusted_proxies else app


def _metadata_paths(base_path: str) -> Sequence[str]:
    """Return the paths of the metadata: as challenges name it, and as RFC 9728 (3.1) derives it from the endpoint."""
    return tuple(dict.fromkeys((METADATA_PATH, METADATA_PATH + MCP_PATH, METADATA_PATH + base_path + MCP_PATH)))


def _authentication(server: Server, settings: Settings) -> HttpAuthentication:
    oauth = settings.security.oauth
    return HttpAuthentication(
        server, None if oauth is None else ProtectedResource(oauth.issuer, oauth.audience, MCP_PATH)
    )


async def _nothing_here(elsewhere: str, _scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer a request for a path that nothing is served at; `elsewhere` says where it would be."""
    await refuse(send, 404, f"Nothing is served at this path: {elsewhere}")


class _Metadata:
    """An ASGI application that serves the metadata of the protected resource (RFC 9728)."""

    def __init__(self, authentication: HttpAuthentication) -> None:
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._authentication.metadata(scope, send)


class _EndpointsFirst:
    """Dispatches to the MCP endpoints, which carry the load, without Starlette's routing (docs/adr/0005).

    A path is the same with one slash at its end. It is relative to the application's root path, if that is mounted
    beneath one or a trusted proxy reports one.
    """

    def __init__(self, endpoints: Mapping[str, ASGIApp], rest: Starlette) -> None:
        self._endpoints = endpoints
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] == "lifespan" else _canonical(scope)
        if scope["type"] == "websocket" and (path != WEBSOCKET_PATH or path not in self._endpoints):
            await refuse(upgrade_refusal(send), 404, f"No WebSocket is served here (it would be at {WEBSOCKET_PATH})")
            return
        endpoint = self._endpoints.get(path)
        if endpoint is not None:
            await endpoint(scope, receive, send)
        else:
            await self._rest({**scope, "path": scope.get("root_path", "") + path} if path else scope, receive, send)


def _canonical(scope: Scope) -> str:
    """Return the path beneath the root path, without a slash at its end; an encoded slash (%2F) stays."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :]
    if len(path) > 1 and path.endswith("/") and scope.get("raw_path", b"/").endswith(b"/"):
        return path[:-1]
    return path or "/"


@asynccontextmanager
async def _lifespan(
    server: Server, lasting: Sequence[AbstractAsyncContextManager[None]], beside: Sequence[Beside], _app: Starlette
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for running in lasting:
            await stack.enter_async_context(running)
        async with anyio.create_task_group() as tasks:
            for serve in beside:
                tasks.start_soon(serve)
            yield
            server.stop()
            tasks.cancel_scope.deadline = anyio.current_time() + server.drain_left + _BESIDE_SECONDS


def _shows_playground(settings: Settings) -> bool:
    wanted = settings.server.playground
    return settings.server.is_loopback if wanted is None else wanted
