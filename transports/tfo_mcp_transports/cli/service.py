"""The server on the chosen transport, from its options to its end. Knows no library of the command line."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tfo_mcp.bootstrap import (
    ConfigurationError,
    Logging,
    Settings,
    build,
    import_builtins,
    logging_of,
    own_exports,
    worker_count,
)
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.effective_settings import settings_again, settings_of
from tfo_mcp_transports.cli.listeners import listening_unix
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.parent import end_with_parent
from tfo_mcp_transports.cli.run_files import RunFile
from tfo_mcp_transports.cli.signals import Reloads, end_at_once, on_end

if TYPE_CHECKING:
    from tfo_mcp_transports.asgi import Beside

TransportName = Literal["stdio", "http", "websocket", "sse", "unix", "all"]
LogLevel = Literal["debug", "info", "warning", "error"]


def run_server(
    transport: TransportName | None = None,
    host: str | None = None,
    port: int | None = None,
    path: Path | None = None,
    tools: str | None = None,
    config: Path | None = None,
    log_level: LogLevel | None = None,
) -> None:
    """Run the server until it is stopped; the arguments are the options of `tfo-mcp serve`.

    Raises:
        ConfigurationError: the settings are not valid; the message lists every problem.
    """
    overrides: dict[str, dict[str, object]] = {
        "server": {"transport": transport, "host": host, "port": port, "socket_path": path},
        "logging": {"level": log_level},
        "tools": {"enabled": None if tools is None else _tool_names(tools)},
    }
    settings = settings_of(config, overrides)
    reread = partial(settings_again, settings, overrides)
    end_at_once()
    count = worker_count(settings)
    if settings.server.transport != "stdio":
        import_builtins(settings)  # before workers are forked
    match settings.server.transport:
        case "stdio":
            _serve_stdio(settings, reread)
        case "unix":
            _serve_unix(settings, reread)
        case "all":
            _serve_all(settings, reread)
        case _:
            _serve_network(settings, count, reread)


def _tool_names(text: str) -> list[str]:
    """Return the names of the option `--tools`.

    Raises:
        ConfigurationError: a name is empty.
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names:
        place = f"name {names.index('') + 1} is empty" if len(names) > 1 else "it names no tool"
        raise ConfigurationError((f"--tools: {place}: write names with one comma between them, as in echo,read_*",))
    return names


def _serve_stdio(settings: Settings, reread: Callable[[], Settings]) -> None:
    from tfo_mcp_transports.cli.welcome import print_stdio_hint
    from tfo_mcp_transports.descriptors import private_streams
    from tfo_mcp_transports.streams.stdio import stdio_connection

    async def run(descriptor_in: int, descriptor_out: int, logging: Logging, deadline: ExitDeadline) -> None:
        server = build(settings, logging=logging, reread=reread, own=own)
        connection = stdio_connection(server, settings.server.max_body_bytes)

        def end() -> None:  # without a drain: the host that has signalled does not wait for calls
            connection.end()
            server.stop()

        on_end(end, deadline)
        with RunFile(settings) as file:
            Reloads(server, file).start()
            async with server.running():
                watch = asyncio.create_task(end_with_parent(connection.end))
                await connection.serve(descriptor_in, descriptor_out)
                watch.cancel()

    print_stdio_hint()
    own = own_exports(settings)
    with (
        private_streams() as (descriptor_in, descriptor_out),
        logging_of(settings, own=own) as logging,
        event_loop() as loop,
    ):
        deadline = _deadline(settings, logging)
        loop.run(run(descriptor_in, descriptor_out, logging, deadline))
        deadline.start()  # closing the loop and exiting the interpreter would wait for threads without a limit


def _serve_network(settings: Settings, count: int, reread: Callable[[], Settings]) -> None:
    if count > 1:
        from tfo_mcp_transports.cli.workers.composition import serve_with_workers

        serve_with_workers(settings, count, reread)
        return
    from tfo_mcp_transports.cli.network import serve_network

    own = own_exports(settings)
    with logging_of(settings, own=own) as logging:
        server = build(settings, logging=logging, reread=reread, own=own)
        serve_network(server, settings, _deadline(settings, logging))


def _serve_unix(settings: Settings, reread: Callable[[], Settings]) -> None:
    from tfo_mcp_transports.cli.welcome import print_welcome
    from tfo_mcp_transports.streams.unix import UnixSocket

    own = own_exports(settings)
    with listening_unix(settings) as listener, logging_of(settings, own=own) as logging, event_loop() as loop:
        deadline = _deadline(settings, logging)

        async def run() -> None:
            server = build(settings, logging=logging, reread=reread, own=own)
            on_end(server.stop, deadline)
            with RunFile(settings) as file:
                Reloads(server, file).start()
                async with server.running():
                    if not server.stopping.is_set():
                        print_welcome({"Unix socket": listener.getsockname()}, settings)
                    await UnixSocket(server, listener, settings.server.max_body_bytes).serve()

        loop.run(run())


def _serve_all(settings: Settings, reread: Callable[[], Settings]) -> None:
    from tfo_mcp_transports.cli.network import serve_network
    from tfo_mcp_transports.descriptors import private_streams
    from tfo_mcp_transports.streams.stdio import stdio_beside
    from tfo_mcp_transports.streams.unix import UnixSocket

    limit = settings.server.max_body_bytes
    with ExitStack() as stack:
        descriptor_in, descriptor_out = stack.enter_context(private_streams())
        listener = stack.enter_context(listening_unix(settings)) if settings.server.socket_path is not None else None
        own = own_exports(settings)
        logging = stack.enter_context(logging_of(settings, own=own))
        server = build(settings, logging=logging, reread=reread, own=own)
        beside: list[Beside] = [partial(stdio_beside, server, limit, descriptor_in, descriptor_out)]
        addresses = {"stdio": "this process"}
        if listener is not None:
            beside.append(UnixSocket(server, listener, limit).serve)
            addresses["Unix socket"] = listener.getsockname()
        serve_network(server, settings, _deadline(settings, logging), beside, addresses)


def _deadline(settings: Settings, logging: Logging) -> ExitDeadline:
    return ExitDeadline(settings.server.drain_seconds, partial(logging.__exit__, None, None, None))
