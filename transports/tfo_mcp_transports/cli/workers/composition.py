"""Serves the network transports by several worker processes: composes the parent and what each worker runs."""

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from tfo_mcp.bootstrap import (
    ConfigurationError,
    Logging,
    Settings,
    WorkerShare,
    build,
    logging_of,
    logging_without_thread,
    own_exports,
)
from tfo_mcp_transports.asgi import network_transports
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.listeners import listen_tcp
from tfo_mcp_transports.cli.network import log_access
from tfo_mcp_transports.cli.run_files import RunFile
from tfo_mcp_transports.cli.welcome import network_addresses, print_welcome
from tfo_mcp_transports.cli.workers.parent_link import ParentLink
from tfo_mcp_transports.cli.workers.pool import WorkerPool
from tfo_mcp_transports.cli.workers.server import serve_worker


class _Servers:
    """The servers of the workers, each composed in its own process.

    A worker that starts later gets the settings of the others: those of the start, changed by the latest reload.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        reread: Callable[[], Settings],
        logging: Logging,
        file: RunFile,
        listener: socket.socket,
    ) -> None:
        self.share = WorkerShare(settings, count)
        self._settings = settings
        self._reread = reread
        self._logging = logging
        self._file = file
        self._listener = listener
        self._latest: Settings | None = None

    def reloaded(self, problems: Sequence[str]) -> None:
        """Record a reload of all workers."""
        if not problems:
            with suppress(ConfigurationError):  # changed since
                self._latest = self._reread()
                self._logging.set_level(self._latest.logging.level)
        self._file.reloaded(problems)

    def serve(self, place: int, link: ParentLink) -> None:
        """Serve in a forked process until it ends."""
        self._file.leave_to_child()
        settings, latest, worker = self._settings, self._latest, self.share.worker(place)
        pending = [] if latest is None else [latest]

        def reread() -> Settings:
            return pending.pop() if pending else self._reread()

        own = own_exports(settings)
        with logging_of(settings, own=own) as logging:
            deadline = ExitDeadline(settings.server.drain_seconds, partial(logging.__exit__, None, None, None))
            server = build(settings, logging=logging, reread=reread, worker=worker, own=own)
            serve_worker(*(server, settings, deadline, self._listener, worker, link), reloads_first=latest is not None)


def serve_with_workers(settings: Settings, count: int, reread: Callable[[], Settings]) -> None:
    """Serve the network transports by `count` processes until a signal arrives.

    Raises:
        ConfigurationError: the address cannot be bound, or the settings disable every transport.
        SystemExit: with the exit code, unless that is 0.
    """
    transports = network_transports(settings)
    with listen_tcp(settings) as listener, logging_without_thread(settings) as logging, RunFile(settings) as file:
        listener.setblocking(False)
        host, port = listener.getsockname()[:2]
        servers = _Servers(settings, count, reread, logging, file, listener)
        pool = WorkerPool(
            count,
            servers.share,
            servers.serve,
            settings.server.drain_seconds,
            on_serving=partial(_announce, settings, network_addresses(host, port, transports)),
            on_reloaded=servers.reloaded,
            on_stopping=listener.close,
        )
        code = pool.run()
    if code:
        raise SystemExit(code)


def _announce(settings: Settings, addresses: Mapping[str, str], hidden_tools: int) -> None:
    """Print and log what is served, once the first worker serves."""
    print_welcome(addresses, settings, hidden_tools=hidden_tools)
    log_access(settings, hidden_tools)
