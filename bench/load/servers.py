"""The servers of the campaigns, on a chosen transport, and clients for them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contenders import PROJECT, Contender, Plugins, Transport, command, observed_command, unix_command
from bench.cores import Cores
from bench.jsonrpc_client import JsonRpcClient
from bench.server_process import free_port, running, wait_until_it_listens
from bench.sse_client import SseClient
from bench.streamable_client import StreamableClient
from bench.unix_client import UnixClient
from bench.websocket_client import WebSocketClient


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, its transport, and its port or socket path."""

    process: subprocess.Popen[bytes]
    transport: Transport
    where: int | Path

    @property
    def port(self) -> int:
        """The port of a server on the network."""
        assert isinstance(self.where, int)
        return self.where

    def client(self) -> JsonRpcClient:
        """A new client, not connected."""
        if isinstance(self.where, Path):
            return UnixClient(self.where)
        if self.transport is Transport.WEBSOCKET:
            return WebSocketClient(self.where)
        return SseClient(self.where) if self.transport is Transport.SSE else StreamableClient(self.where)


@contextmanager
def serving(
    cores: Cores, transport: Transport, plugins: Plugins = Plugins.NONE, contender: Contender = Contender.PRODUCT
) -> Iterator[Served]:
    """Run a server for the duration of the block.

    Raises:
        BenchError: an error of the block, with the end of the server's log added.
    """
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory, "socket") if transport is Transport.UNIX else free_port()
        if isinstance(where, Path):
            start = unix_command(where, plugins)
        else:
            start = command(contender, where, transport=transport, plugins=plugins)
        with running(start, cores) as process:
            wait_until_it_listens(process, where)
            yield Served(process, transport, where)


@contextmanager
def serving_events(cores: Cores, database: Path, broker: str) -> Iterator[Served]:
    """Run the product with an outbox in a file of SQLite and an event log in NATS, for the duration of the block.

    Raises:
        BenchError: an error of the block, with the end of the server's log added.
    """
    port = free_port()
    given = {"TELEMETRYFLOW_MCP_STORAGE_URL": f"sqlite://{database}", "TELEMETRYFLOW_MCP_EVENTS_URL": broker}
    started = command(Contender.PRODUCT, port)
    with running(replace(started, environment={**started.environment, **given}), cores) as process:
        wait_until_it_listens(process, port)
        yield Served(process, Transport.HTTP, port)


@contextmanager
def serving_observed(cores: Cores, collector: str) -> Iterator[Served]:
    """Run the product with all traces and metrics exported to a collector, for the duration of the block.

    Raises:
        BenchError: an error of the block, with the end of the server's log added.
    """
    port = free_port()
    with running(observed_command(PROJECT, port, collector, 1.0), cores) as process:
        wait_until_it_listens(process, port)
        yield Served(process, Transport.HTTP, port)
