"""Serves the network transports on uvicorn: one port, connection limits, and a graceful shutdown."""

import asyncio
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil
from types import FrameType
from typing import TYPE_CHECKING

import anyio
import structlog
import uvicorn

from tfo_mcp.bootstrap import ConfigurationError, Server, Settings, anonymous_access
from tfo_mcp_transports.asgi import Beside, create_app, network_wires
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.descriptor_limit import descriptors_for
from tfo_mcp_transports.cli.listeners import listen_tcp
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.running import RunFile
from tfo_mcp_transports.cli.signals import leave_at_once, on_hangup
from tfo_mcp_transports.cli.welcome import network_addresses, print_welcome

if TYPE_CHECKING:
    from tfo_mcp_transports.network.uvicorn_protocols import Limits

_ANSWER_SECONDS = 0.3  # after the drain, to send the responses
_HANG_UP_SECONDS = 0.2
_LISTENING_SECONDS = 0.3  # after a signal, so that proxies get a 503 and switch to another server
_PING_SECONDS = 20.0
_TAKEN_IN = 1024  # connections accepted from the backlog during shutdown
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
    app = create_app(server, settings, beside)
    listener = listen_tcp(settings)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
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
    limits = _limit(config, settings)

    class StoppingServer(uvicorn.Server):
        """Starts the graceful shutdown as soon as a signal arrives, and enforces the connection limits to the end."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if server.stopping.is_set():
                leave_at_once(sig)
            deadline.start()
            server.stop()
            if limits is not None:
                limits.hurry()

        async def serve(self, sockets: list[socket.socket] | None = None) -> None:
            on_hangup(server, file)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._leave_when_drained)
                if limits is not None:
                    tasks.start_soon(limits.keep)
                await super().serve(sockets)
                tasks.cancel_scope.cancel()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Accept the connections in the backlog before listening stops, which would reset them."""
            waiting = [connection for listener in sockets or () for connection in _waiting_on(listener)]
            for each in self.servers:
                each.close()
            for connection in waiting:
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
            await super().shutdown(sockets)

        async def _wait_tasks_to_complete(self) -> None:
            """Wait for the drain time and a short time for responses; then abort the remaining connections."""
            with anyio.move_on_after(server.drain_left + _ANSWER_SECONDS):
                await super()._wait_tasks_to_complete()
                return
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
            async with asyncio.timeout(_HANG_UP_SECONDS):
                await super()._wait_tasks_to_complete()

        def _protocol(self) -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        async def _leave_when_drained(self) -> None:
            """Keep listening for a short time and while calls run, so that new requests get an error response."""
            await server.stopping.wait()
            await anyio.sleep(_LISTENING_SECONDS)
            with anyio.move_on_after(server.drain_left):
                await server.drained()
            self.should_exit = True

    # uvicorn re-raises the signal that stopped it when it is done; an orderly stop must not fail
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    print_welcome({**network_addresses(host, port, network_wires(settings)), **(addresses or {})}, settings)
    _log.info("network access", without_key=" ".join(anonymous_access(settings)))
    with RunFile(settings) as file, event_loop() as loop:
        loop.run(StoppingServer(config).serve([listener]))


def _waiting_on(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the established connections in the backlog, up to a limit, since new ones can arrive as fast."""
    listener.setblocking(False)
    with suppress(OSError):
        for _ in range(_TAKEN_IN):
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


def _limit(config: uvicorn.Config, settings: Settings) -> "Limits | None":
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
            LimitedWebSocket,
            Limits,
            limited_http,
        )
    except ImportError as problem:
        hint = "install the version that this package asks for"
        raise ConfigurationError((f"uvicorn {uvicorn.__version__} cannot be used ({problem}): {hint}",)) from None
    section = settings.server
    most = descriptors_for(section.max_connections, EXTRA_CONNECTIONS)
    per_address = section.max_connections_per_address or ceil(most / 2)
    limits = Limits(most, min(per_address, most), section.max_body_bytes, section.trusted_proxies)
    config.http = limited_http(limits)
    config.ws = LimitedWebSocket
    return limits
