"""The network's wires on uvicorn: one port, limits, and an end that nobody is cut off by."""

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

from app.bootstrap import Server, Settings, anonymous_access
from transports.asgi import Beside, create_app, network_wires
from transports.cli.listeners import listen_tcp
from transports.cli.running import RunFile
from transports.cli.signals import leave_at_once, on_hangup
from transports.cli.welcome import network_addresses, print_welcome

if TYPE_CHECKING:
    from transports.uvicorn_protocols import Limits

_LAST_SECONDS = 2  # for answers to calls that have run into the end of the draining
_LISTENING_SECONDS = 0.3  # after a signal: proxies learn by an answer that they should ask elsewhere
_PING_SECONDS = 20.0
_log = structlog.get_logger("tfo_mcp.network")


def serve_network(
    server: Server, settings: Settings, beside: Sequence[Beside] = (), addresses: Mapping[str, str] | None = None
) -> None:
    """Serve until a signal comes; `beside` are further wires of the same process, `addresses` where they are, by name.

    Raises:
        ConfigurationError: the address cannot be bound, or there is nothing to serve.
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
        timeout_graceful_shutdown=ceil(settings.server.drain_seconds) + _LAST_SECONDS,
    )
    limits = _limit(config, settings.server.max_connections)

    class StoppingServer(uvicorn.Server):
        """Tells what lasts to end as soon as a signal arrives, and has limits on connections kept until the end."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if server.stopping.is_set():
                leave_at_once(sig)
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
            """Take in who has connected already before nobody listens any more: they would be hung up on."""
            waiting = [connection for listener in sockets or () for connection in _waiting_on(listener)]
            for each in self.servers:
                each.close()
            for connection in waiting:
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
            await super().shutdown(sockets)

        def _protocol(self) -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        async def _leave_when_drained(self) -> None:
            """Listen on for a moment, and while calls run: who asks meanwhile is told, and not hung up on."""
            await server.stopping.wait()
            await anyio.sleep(_LISTENING_SECONDS)
            with anyio.move_on_after(server.drain_seconds):
                await server.drained()
            self.should_exit = True

    # uvicorn raises the signal that stopped it again when it is done; having stopped as told is no failure
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    print_welcome({**network_addresses(host, port, network_wires(settings)), **(addresses or {})}, settings)
    _log.info("network access", without_key=" ".join(anonymous_access(settings)))
    with RunFile(settings) as file:
        StoppingServer(config).run(sockets=[listener])


def _waiting_on(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that the kernel has made and nobody has taken yet."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


def _limit(config: uvicorn.Config, max_connections: int) -> "Limits | None":
    """Put limits on the connections, where the platform has httptools; somebody has to keep them."""
    try:
        from transports.uvicorn_protocols import LimitedWebSocket, Limits, limited_http
    except ImportError:
        return None
    limits = Limits(max_connections)
    config.http = limited_http(limits)
    config.ws = LimitedWebSocket
    return limits
