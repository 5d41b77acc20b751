"""The process that receives telemetry: the parts behind its receivers and its socket, and their common life.

Owns the order of start and stop. The receivers, which know HTTP and gRPC, call `submit` and report their addresses.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.application.ports.telemetry_store import StoreStatus
from tfo_mcp.application.ports.telemetry_writer import TelemetryWriter
from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader
from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase
from tfo_mcp.infrastructure.telemetry_store.forwarder import Forwarder
from tfo_mcp.infrastructure.telemetry_store.ingest import Ingest, IngestOutcome
from tfo_mcp.infrastructure.telemetry_store.otlp_requests import Encoding
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, listening
from tfo_mcp.infrastructure.telemetry_store.redaction import Redaction
from tfo_mcp.infrastructure.telemetry_store.retention import Retention
from tfo_mcp.infrastructure.telemetry_store.rows import RowBatch
from tfo_mcp.infrastructure.telemetry_store.service import Command, QueryFailed, StoreService
from tfo_mcp.infrastructure.telemetry_store.tables import TABLES
from tfo_mcp.value_objects import value_object

_LOOK_SECONDS = 1.0
_EXPORT_ROWS = 2000
_ANSWER_SECONDS = 0.1  # to answer the request that ends the process


@value_object
class StoreOptions:
    """The limits of the store, the attributes that it does not keep, and where copies go."""

    max_age_seconds: float
    max_bytes: int
    queue_bytes: int
    idle_seconds: float
    redact: Sequence[str] = ()
    forward: str | None = None
    forward_headers: Mapping[str, str] | None = None


class ReceivingProcess:
    """A process that receives telemetry and writes it, and that servers reach by its socket. Its lock must be held.

    Args:
        places: the socket.
        options: the limits.
        writer: writes the records.
        new_batch: returns an empty batch of rows in the form that the writer takes.
        database: answers queries; None if the records are asked for elsewhere.
    """

    def __init__(
        self,
        places: StorePlaces,
        options: StoreOptions,
        writer: TelemetryWriter,
        new_batch: Callable[[], RowBatch],
        database: TelemetryDatabase | None = None,
    ) -> None:
        self._places, self._options, self._writer = places, options, writer
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        reader = AttributeReader(Redaction(options.redact))
        self._ingest = Ingest(writer, new_batch, reader, options.queue_bytes, self._rest, self._stop_soon)
        self._forwarding = (
            None if options.forward is None else Forwarder(options.forward, options.forward_headers or {})
        )
        self._service = StoreService(database, self._commands())
        self._last_received = monotonic()
        self._status = StoreStatus(None, None, 0, 0, 0)

    def _commands(self) -> Mapping[str, Command]:
        return {
            "addresses": self._addresses,
            "ingest": self._ingest_own,
            "process": self._describe,
            "stop": self._stop,
        }

    def receives_at(self, otlp_http: str, otlp_grpc: str, notices: Sequence[str], *, key_required: bool) -> None:
        """Set what the status says about the receivers: their URLs, and sentences about them."""
        self._status = StoreStatus(None, None, 0, 0, 0, otlp_http, otlp_grpc, key_required, notices)

    def submit(self, signal: str, body: bytes, encoding: Encoding) -> "Future[IngestOutcome]":
        """Store an export request that a receiver has received."""
        self._last_received = monotonic()
        kind = Signal(signal)
        outcome = self._ingest.submit(kind, body, encoding)
        if self._forwarding is not None:
            outcome.add_done_callback(lambda done: self._forward(done, kind, body, encoding))
        return outcome

    async def run(self) -> None:
        """Serve the socket until the process is idle for long, receives `stop`, or its database fails."""
        with listening(self._places) as listener:
            serving = asyncio.create_task(self._service.serve(listener))
            try:
                await self._until_idle()
            finally:
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    def close(self) -> None:
        """Store what waits, and close what it is written to."""
        self._ingest.close()
        if self._forwarding is not None:
            self._forwarding.close()
        self._writer.close()

    async def _until_idle(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._stopping.wait()
            idle = min(self._service.idle_seconds, monotonic() - self._last_received)
            if idle >= self._options.idle_seconds or not self._places.directory.exists():
                return

    def _stop_soon(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)

    def _forward(self, done: "Future[IngestOutcome]", signal: Signal, body: bytes, encoding: Encoding) -> None:
        if self._forwarding is not None and done.result().status == "stored":
            self._forwarding.take(signal, body, encoding)

    def _rest(self) -> None:
        """Do further work in the writing thread, a few seconds after the last time."""

    def _notices(self) -> list[str]:
        notices = [*self._status.notices]
        if self._ingest.refused:
            notices.append(f"{self._ingest.refused} export requests were refused because the queue was full")
        if self._forwarding is not None and self._forwarding.dropped:
            notices.append(f"{self._forwarding.dropped} export requests could not be forwarded (telemetry.forward)")
        return notices

    def _addresses(self, _header: Mapping[str, Any], _payload: bytes) -> StoreStatus:
        return replace(self._status, notices=self._notices())

    async def _ingest_own(self, header: Mapping[str, Any], payload: bytes) -> None:
        outcome = await asyncio.wrap_future(self._ingest.submit(Signal(str(header.get("signal"))), payload, "protobuf"))
        if outcome.status != "stored":
            raise QueryFailed(outcome.message)

    def _describe(self, _header: Mapping[str, Any], _payload: bytes) -> Sequence[object]:
        return (os.getpid(), 0)

    def _stop(self, _header: Mapping[str, Any], _payload: bytes) -> None:
        self._loop.call_later(_ANSWER_SECONDS, self._stopping.set)


class StoreProcess(ReceivingProcess):
    """An open store: it writes into its own database, and answers queries.

    Raises:
        UnusableDatabase: the file cannot be used.
    """

    def __init__(self, places: StorePlaces, options: StoreOptions) -> None:
        self._database = TelemetryDatabase(places.database)
        self._retention = Retention(self._database, options.max_age_seconds, options.max_bytes)
        super().__init__(places, options, self._database, RowBatch, self._database)

    def _commands(self) -> Mapping[str, Command]:
        own: Mapping[str, Command] = {"clear": self._clear, "export": self._export, "positions": self._positions}
        return {**super()._commands(), **own}

    def _rest(self) -> None:
        self._retention.run()

    def _notices(self) -> list[str]:
        notices = super()._notices()
        if self._retention.shortened:
            notices.append("The oldest records were deleted because of telemetry.max_store_bytes")
        return notices

    async def _clear(self, _header: Mapping[str, Any], _payload: bytes) -> None:
        await asyncio.wrap_future(self._ingest.call(self._database.clear))

    async def _export(self, header: Mapping[str, Any], _payload: bytes) -> bytes:
        """Return rows of a table as lines of JSON, each after its row number; empty at the end of the table."""
        name, after = header.get("table"), header.get("after")
        if name not in {table.name for table in TABLES} or not isinstance(after, int):
            raise QueryFailed("export needs a table and a row number")
        return await asyncio.to_thread(self._database.lines, str(name), after, _EXPORT_ROWS)

    def _positions(self, _header: Mapping[str, Any], _payload: bytes) -> Mapping[str, int]:
        """Return the number of the latest row of each table, -1 of an empty one."""
        return self._database.positions()

    def _describe(self, _header: Mapping[str, Any], _payload: bytes) -> Sequence[object]:
        return (os.getpid(), self._database.file_bytes())
