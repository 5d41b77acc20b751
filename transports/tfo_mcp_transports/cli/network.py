"""Serves the network transports on uvicorn: one port, connection limits, and a graceful shutdown."""

import gc
from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import structlog
import uvicorn
from starlette.types import ASGIApp

from tfo_mcp.bootstrap import ConfigurationError, Server, Settings, anonymous_access
from tfo_mcp_transports.asgi import Beside, create_app, network_transports
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.descriptor_limit import descriptors_for
from tfo_mcp_transports.cli.listeners import listen_tcp
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.run_files import RunFile
from tfo_mcp_transports.cli.signals import Reloads, on_end
from tfo_mcp_transports.cli.stopping_server import StoppingServer
from tfo_mcp_transports.cli.welcome import network_addresses, print_welcome

if TYPE_CHECKING:
    from tfo_mcp_transports.network.uvicorn_protocols import ConnectionLimits

_PING_SECONDS = 20.0
_log = structlog.get_logger("tfo_mcp.network")


def serve_network(
    server: Server,
    settings: Settings,
    deadline: ExitDeadline,
    beside: Sequence[Beside] = (),
    addresses: Mapping[str, str] | None = None,
) -> None:
    """Serve until a signal arrives.

    Args:
        server: serves the requests.
        settings: the settings in effect.
        deadline: started by the signal.
        beside: further transports of the same process.
        addresses: the addresses of these transports, by name.

    Raises:
        ConfigurationError: the address cannot be bound, or the settings disable every transport.
    """
    config = uvicorn_configuration(create_app(server, settings, beside), settings)
    listener = listen_tcp(settings)
    host, port = listener.getsockname()[:2]
    limits = connection_limits(config, settings)
    shown = {**network_addresses(host, port, network_transports(settings)), **(addresses or {})}
    with RunFile(settings) as file, event_loop() as loop:
        loop.run(_prepare(server, deadline))
        if server.stopping.is_set():
            loop.run(server.close())
            return
        print_welcome(shown, settings, hidden_tools=server.hidden_tools)
        log_access(settings, server.hidden_tools)
        gc.freeze()  # what was built until now lives as long as the process: no collection looks at it again
        loop.run(StoppingServer(config, server, limits, deadline, Reloads(server, file)).serve([listener]))


async def _prepare(server: Server, deadline: ExitDeadline) -> None:
    """Prepare the server; a signal stops it meanwhile, and until uvicorn handles signals."""
    on_end(server.stop, deadline)
    await server.prepare()


def log_access(settings: Settings, hidden_tools: int) -> None:
    """Log what network callers may do without credentials, and how many tools they do not see."""
    _log.info("network access", without_key=" ".join(anonymous_access(settings)), hidden_tools=hidden_tools)


def uvicorn_configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=settings.server.max_body_bytes,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        ws_per_message_deflate=False,
    )


def connection_limits(config: uvicorn.Config, settings: Settings) -> "ConnectionLimits | None":
    """Configure the connection limits and return them; None without httptools, as on PyPy.

    Raises:
        ConfigurationError: the installed version of uvicorn does not have the protocols that the limits extend.
    """
    try:
        import httptools  # noqa: F401 - whether it is installed
    except ImportError as problem:
        _log.warning("connections have no limits", reason=f"httptools cannot be imported: {problem}")
        return None
    try:
        from tfo_mcp_transports.network.uvicorn_protocols import (
            EXTRA_CONNECTIONS,
            ConnectionLimits,
            LimitedWebSocket,
            limited_http,
        )
    except ImportError as problem:
        hint = "install the version that this package asks for"
        raise ConfigurationError((f"uvicorn {uvicorn.__version__} cannot be used ({problem}): {hint}",)) from None
    section = settings.server
    most = descriptors_for(section.max_connections, EXTRA_CONNECTIONS)
    per_address = section.max_connections_per_address or ceil(most / 2)
    sizes = most, min(per_address, most), section.max_body_bytes
    limits = ConnectionLimits(*sizes, section.trusted_proxies, section.base_path)
    config.http = limited_http(limits)
    config.ws = LimitedWebSocket
    return limits
