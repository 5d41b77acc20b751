"""Telemetry stores for tests: a store process with a state directory and free ports of its own.

Knows the command line and the client of the product; not what is sent or asked.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio

from tests.support.clickhouse import PASSWORD, ClickHouseServer
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import Child, StartError, child, configuration_file, stdio_child
from tests.support.stdio_conversation import StdioConversation
from tfo_mcp.application.ports.telemetry_query import Selection, Window
from tfo_mcp.application.ports.telemetry_store import StoreStatus
from tfo_mcp.infrastructure.telemetry_store.client import StoreClient
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, connect

EVER = Window(0, 2**63 - 1)
ALL = Selection(EVER)
FREE_PORTS: Mapping[str, Any] = {"otlp_http_port": 0, "otlp_grpc_port": 0}

T = TypeVar("T")


@dataclass
class RunningStore:
    """A store process; `home` is its XDG_STATE_HOME."""

    home: Path
    process: Child
    status: StoreStatus = field(init=False)

    @property
    def places(self) -> StorePlaces:
        """The files of the process."""
        return StorePlaces(self.home / "tfo-mcp" / "telemetry")

    @property
    def client(self) -> StoreClient:
        """A client that starts no process."""
        return StoreClient(self.places, lambda: None)

    @property
    def http(self) -> str:
        """The base URL of OTLP over HTTP."""
        assert self.status.otlp_http is not None
        return self.status.otlp_http

    @property
    def grpc(self) -> str:
        """`host:port` of OTLP over gRPC."""
        assert self.status.otlp_grpc is not None
        return self.status.otlp_grpc.removeprefix("http://")

    def ask(self, query: Callable[[StoreClient], Awaitable[T]]) -> T:
        """Return the answer to a query."""

        async def run() -> T:
            return await query(self.client)

        with ThreadPoolExecutor(1) as threads:  # the event loop of Playwright may run in this thread
            return threads.submit(anyio.run, run).result()

    def await_start(self) -> None:
        """Wait until the process answers.

        Raises:
            StartError: it ends before.
        """

        def answers() -> bool:
            if self.process.process.poll() is not None:
                raise StartError(f"The store ended at start; stderr:\n{self.process.stderr()}")
            try:
                connect(self.places).close()
            except OSError:
                return False
            return True

        wait_until(answers, "the store answers", 3 * PATIENCE)
        self.status = self.ask(lambda store: store.addresses())


@contextmanager
def telemetry_store(
    settings: Mapping[str, Any] | None = None,
    home: Path | None = None,
    further: Mapping[str, str] | None = None,
) -> Iterator[RunningStore]:
    """Run `tfo-mcp telemetry serve` until the end of the block.

    Args:
        settings: of the section `telemetry`.
        home: XDG_STATE_HOME; an empty temporary directory by default.
        further: further variables.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tfo-store-") as temporary,
        configuration_file({"telemetry": {**FREE_PORTS, **(settings or {})}}) as config,
    ):
        chosen = home or Path(temporary)
        variables = {"XDG_STATE_HOME": os.fspath(chosen), **(further or {})}
        with child(["telemetry", "serve", *config], variables=variables) as running:
            store = RunningStore(chosen, running)
            store.await_start()
            yield store


@contextmanager
def written_store(
    server: ClickHouseServer, database: str, settings: Mapping[str, Any] | None = None, home: Path | None = None
) -> Iterator[RunningStore]:
    """Run `tfo-mcp telemetry serve` that fills a database of a ClickHouse until the end of the block."""
    variables = {
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE": server.url(database),
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE_PASSWORD": PASSWORD,
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE_WRITES": "true",
    }
    with telemetry_store({"max_age_seconds": 10**9, **(settings or {})}, home, variables) as running:
        yield running


@contextmanager
def asking(store: RunningStore, further: Mapping[str, str] | None = None) -> Iterator[StdioConversation]:
    """Yield a conversation with a server over stdio that uses a running store, with further variables."""
    variables = {
        "XDG_STATE_HOME": os.fspath(store.home),
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded",
        **(further or {}),
    }
    with stdio_child(variables=variables) as running:
        conversation = StdioConversation(running, "2025-06-18")
        conversation.handshake()
        try:
            yield conversation
        finally:
            conversation.close()
