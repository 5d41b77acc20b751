"""Administration of the telemetry store for the command line, with plain values as results."""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from time import time_ns
from typing import Any

import anyio

from tfo_mcp.application.ports import TelemetryStore
from tfo_mcp.application.ports.telemetry_query import Window
from tfo_mcp.application.ports.telemetry_store import ServiceSummary
from tfo_mcp.bootstrap.telemetry_store import receiver_client, store_places, stored_telemetry
from tfo_mcp.domain.access import OWNER
from tfo_mcp.domain.errors import DomainError
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.telemetry_store.client import StoreClient
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, connect, locked
from tfo_mcp.value_objects import value_object

_TABLES = (
    *("otel_traces", "otel_logs", "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram"),
    *("otel_metrics_exponential_histogram", "otel_metrics_summary"),
)
_FOLLOWED = ("otel_traces", "otel_logs")
_LOOK_SECONDS = 0.5
_END_SECONDS = 15.0
_FILES = ("store.duckdb", "store.duckdb.wal")


@value_object
class StoreReport:
    """The state of the store: its process (None if it does not run), files, addresses, contents and services."""

    pid: int | None
    directory: str
    bytes: int
    http: str | None = None
    grpc: str | None = None
    earliest: int | None = None
    latest: int | None = None
    counts: Mapping[str, int] | None = None
    notices: Sequence[str] = ()
    services: Sequence[ServiceSummary] = ()


class TelemetryAdministration:
    """Shows, clears, exports and follows the telemetry store of this user; a ClickHouse that it fills is only shown.

    Raises:
        ConfigurationError: from each method, if the store cannot be reached or the settings switch it off.
    """

    def __init__(self, settings: Settings) -> None:
        client, stored = receiver_client(settings), stored_telemetry(settings)
        if client is None or stored is None:
            raise ConfigurationError(("telemetry.store is `off`, or a ClickHouse that others fill",))
        self._starting, self._stored = client, stored
        self._is_own = settings.telemetry.store == "embedded"
        self._places = store_places()
        self._service = settings.telemetry.service_name

    async def report(self, seconds: float) -> StoreReport:
        """Return the state of the store, with the services of the last `seconds`; never starts the process."""
        if not _is_running(self._places):
            return StoreReport(None, str(self._places.directory), _file_bytes(self._places))
        client = self._client()
        try:
            (pid, size), _ = await client.command("process")
            store: TelemetryStore = client if self._is_own else self._stored.of(OWNER)
            status = await store.status()
            now = time_ns()
            services = await store.services(Window(now - int(seconds * 1e9), now))
        except DomainError as problem:
            raise ConfigurationError((str(problem),)) from None
        counts = {"spans": status.spans, "log records": status.logs, "metric points": status.points}
        addresses = status.otlp_http, status.otlp_grpc, status.earliest, status.latest
        return StoreReport(pid, str(self._places.directory), size, *addresses, counts, status.notices, services)

    async def usage(self, seconds: float) -> dict[str, Any]:
        """Return the usage of this user's servers in the last `seconds`, as JSON values; may start the process."""
        from tfo_mcp.builtin.telemetry.server_usage import usage_report

        now = time_ns()
        try:
            return await usage_report(self._stored.of(OWNER), self._service, Window(now - int(seconds * 1e9), now))
        except DomainError as problem:
            raise ConfigurationError((str(problem),)) from None

    async def clear(self) -> None:
        """Delete everything that is stored."""
        self._require_own()
        if _is_running(self._places):
            await self._command("clear")
            return
        with locked(self._places) as is_ours:
            if not is_ours:
                raise ConfigurationError(("The telemetry store is starting or ending: try again",))
            for name in _FILES:
                with suppress(FileNotFoundError):
                    (self._places.directory / name).unlink()

    async def stop(self) -> bool:
        """End the process, and return whether there was one."""
        if not _is_running(self._places):
            return False
        await self._command("stop")
        with anyio.move_on_after(_END_SECONDS):
            await self._ended()
        return True

    def _require_own(self) -> None:
        if not self._is_own:
            raise ConfigurationError(("telemetry.store is a ClickHouse: use its own client for that",))

    async def _ended(self) -> None:
        while True:
            if _is_free(self._places):
                return
            await anyio.sleep(_LOOK_SECONDS / 10)

    async def export(self) -> AsyncIterator[str]:
        """Yield each stored record as a line of JSON with its table; starts the process if needed."""
        self._require_own()
        await self._command("positions", self._starting)
        for table in _TABLES:
            after = -1
            while rows := await self._rows(table, after):
                for _, row in rows:
                    yield f'{{"table":"{table}",{row[1:]}'
                after = rows[-1][0]

    async def follow(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Yield spans and log records as they are stored, with their table; starts the process if needed."""
        self._require_own()
        after: dict[str, int] = dict(await self._command("positions", self._starting))
        while True:
            for table in _FOLLOWED:
                for number, row in await self._rows(table, after[table]):
                    after[table] = number
                    yield table, json.loads(row)
            await anyio.sleep(_LOOK_SECONDS)

    async def _rows(self, table: str, after: int) -> list[tuple[int, str]]:
        payload = await self._payload(table, after)
        lines = [line.partition("\t") for line in payload.decode().splitlines()]
        return [(int(number), row) for number, _, row in lines]

    async def _payload(self, table: str, after: int) -> bytes:
        try:
            return (await self._client().command("export", table=table, after=after))[1]
        except DomainError as problem:
            raise ConfigurationError((str(problem),)) from None

    async def _command(self, method: str, client: StoreClient | None = None) -> Any:
        try:
            return (await (client or self._client()).command(method))[0]
        except DomainError as problem:
            raise ConfigurationError((str(problem),)) from None

    def _client(self) -> StoreClient:
        """Return a client that does not start the process."""
        return StoreClient(self._places, _refuse_start)


def _refuse_start() -> None:
    raise ConfigurationError(("The telemetry store does not run: servers start it, or `tfo-mcp telemetry serve`",))


def _is_running(places: StorePlaces) -> bool:
    try:
        connect(places).close()
    except OSError:
        return False
    return True


def _is_free(places: StorePlaces) -> bool:
    with locked(places) as is_ours:
        return is_ours


def _file_bytes(places: StorePlaces) -> int:
    return sum(os.path.getsize(path) for name in _FILES if (path := places.directory / name).exists())
