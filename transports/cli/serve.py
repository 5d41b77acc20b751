"""`tfo-mcp serve`: run the server."""

import asyncio
import os
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.bootstrap import ConfigurationError, Settings, build, logging_of
from transports.cli.options import ConfigOption, settings_of
from transports.cli.welcome import print_welcome

if TYPE_CHECKING:
    from asyncio import Protocol

    from transports.http.patience import Patience

_GRACEFUL_SECONDS = 10
_ARRIVAL_SECONDS = 15.0  # of a whole request, head and body


def serve(
    transport: Annotated[
        Literal["stdio", "http"] | None,
        typer.Option(help="Wire to serve (default: as configured).", show_default=False),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind (http).", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind (http).", show_default=False)] = None,
    config: ConfigOption = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="Log level.", show_default=False)
    ] = None,
) -> None:
    """Serve MCP clients over standard input and output, or over HTTP."""
    overrides: dict[str, dict[str, object]] = {
        "server": {"transport": transport, "host": host, "port": port},
        "logging": {"level": log_level},
    }
    settings = settings_of(config, overrides)
    if settings.server.transport == "stdio":
        _serve_stdio(settings)
    else:
        _serve_http(settings)


def _serve_stdio(settings: Settings) -> None:
    from transports.descriptors import private_streams
    from transports.stdio import StdioConnection

    async def run(wire_in: int, wire_out: int) -> None:
        connection = StdioConnection(build(settings), settings.server.max_body_bytes)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, connection.stop)
        await connection.serve(wire_in, wire_out)

    with private_streams() as (wire_in, wire_out), logging_of(settings), _runner() as runner:
        runner.run(run(wire_in, wire_out))


def _serve_http(settings: Settings) -> None:
    import uvicorn

    from transports.asgi import create_app
    from transports.http.patience import Patience

    with logging_of(settings):
        server = build(settings)
        listener = _listen(settings)
        host, port = listener.getsockname()[:2]
        arriving = Patience(_ARRIVAL_SECONDS)
        config = uvicorn.Config(
            create_app(server, settings),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http=_http_protocol(arriving),
            timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        )

        class StoppingServer(uvicorn.Server):
            """Tells long-lived streams to end as soon as a signal arrives, and looks after slow requests."""

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                server.stop()
                super().handle_exit(sig, frame)

            async def on_tick(self, counter: int) -> bool:
                arriving.look()
                return await super().on_tick(counter)

        # uvicorn raises the signal that stopped it again when it is done; having stopped as told is no failure
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        print_welcome(host, port, settings)
        StoppingServer(config).run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    """Bind the configured address.

    Raises:
        ConfigurationError: it cannot be bound.
    """
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise ConfigurationError(
            (f"Cannot listen on {host}:{port}: {reason} (settings server.host, server.port)",)
        ) from None


def _http_protocol(arriving: "Patience") -> "type[Protocol] | Literal['auto']":
    """Return uvicorn's protocol on httptools, with limits, where the platform has it."""
    try:
        from transports.http.connections import limited_http
    except ImportError:
        return "auto"
    return limited_http(arriving)


def _runner() -> asyncio.Runner:
    """Return a runner on uvloop where the platform has it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
