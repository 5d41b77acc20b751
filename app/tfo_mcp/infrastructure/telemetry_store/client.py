"""The client of the store process: the TelemetryStore port, and export requests of this server.

Starts the process on demand, at most once in a few seconds. Each query has a connection of its own; closing it ends the
query. Knows neither DuckDB nor OTLP.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

import structlog

from tfo_mcp.application.ports.telemetry_metrics import MetricPoints
from tfo_mcp.application.ports.telemetry_query import AllOf, FieldName, Measure, Predicate, Selection, Signal, Window
from tfo_mcp.application.ports.telemetry_store import (
    Aggregate,
    ErrorShape,
    FeatureSeries,
    FieldSummaries,
    LogRecord,
    LogShape,
    MetricSummary,
    SelectedRows,
    ServiceEdge,
    ServiceSummary,
    Span,
    StoredTrace,
    StoreStatus,
    TimeOrder,
    TraceOrder,
    TraceSummary,
)
from tfo_mcp.domain.errors import OperationFailed, StateUnavailable
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, connect
from tfo_mcp.infrastructure.telemetry_store.protocol import (
    LENGTHS,
    PROTOCOL,
    ProtocolError,
    decoded,
    encoded,
    frame,
    header_of,
    lengths_of,
)

_log = structlog.get_logger("tfo_mcp.telemetry")
_ANSWER_SECONDS = 25.0
_START_SECONDS = 10.0
_POLL_SECONDS = 0.02
_KEEP_SECONDS = 2.0
"""Pause before the process is started once more."""
_MAX_KEEP_SECONDS = 60.0
_GONE = "The telemetry store is starting or cannot be reached: try again in a few seconds"
_OTHER_VERSION = "The telemetry store was started by another version of tfo-mcp: run `tfo-mcp telemetry stop` once"

T = TypeVar("T")


class StoreClient:
    """Queries the store process of this user.

    Args:
        places: where the process listens.
        start: starts the process unless it is starting; returns at once.
        rows: the row filter of every query; None without one.
    """

    def __init__(self, places: StorePlaces, start: Callable[[], None], rows: Predicate | None = None) -> None:
        self._places = places
        self._start = start
        self._rows = rows

    def restricted(self, rows: Predicate) -> "StoreClient":
        """Return this store without the records that do not match."""
        both = rows if self._rows is None else AllOf((self._rows, rows))
        return StoreClient(self._places, self._start, both)

    async def status(self) -> StoreStatus:
        """Return the contents and the addresses."""
        contents = await self._ask(StoreStatus, "contents")
        addresses = await self.addresses()
        return replace(
            addresses,
            earliest=contents.earliest,
            latest=contents.latest,
            spans=contents.spans,
            logs=contents.logs,
            points=contents.points,
        )

    async def addresses(self) -> StoreStatus:
        """Return the addresses at which the process receives, and its notices."""
        return await self._ask(StoreStatus, "addresses")

    async def services(self, window: Window) -> Sequence[ServiceSummary]:
        """Return the services that sent anything."""
        return await self._ask(tuple, "services", window=window)

    async def fields(
        self, signal: Signal, selection: Selection, *, about: str | None, values: int, limit: int
    ) -> FieldSummaries:
        """Return fields with their commonest values."""
        return await self._ask(
            FieldSummaries, "fields", signal=signal, selection=selection, about=about, values=values, limit=limit
        )

    async def metrics(self, selection: Selection, *, about: str | None, limit: int) -> Sequence[MetricSummary]:
        """Return metrics."""
        return await self._ask(tuple, "metrics", selection=selection, about=about, limit=limit)

    async def metric_points(self, name: str, selection: Selection, *, limit: int) -> MetricPoints:
        """Return the series of a metric."""
        return await self._ask(MetricPoints, "metric_points", name=name, selection=selection, limit=limit)

    async def traces(
        self, selection: Selection, *, order: TraceOrder, limit: int, offset: int = 0
    ) -> Sequence[TraceSummary]:
        """Return the traces that have a selected span."""
        return await self._ask(tuple, "traces", selection=selection, order=order, limit=limit, offset=offset)

    async def trace(self, trace_id: str, limit: int) -> StoredTrace:
        """Return a trace."""
        return await self._ask(StoredTrace, "trace", trace_id=trace_id, limit=limit)

    async def spans(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[Span]:
        """Return selected spans."""
        return await self._ask(tuple, "spans", selection=selection, order=order, limit=limit, offset=offset)

    async def logs(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[LogRecord]:
        """Return selected log records."""
        return await self._ask(tuple, "logs", selection=selection, order=order, limit=limit, offset=offset)

    async def log_shapes(self, selection: Selection, *, parts: int, limit: int) -> Sequence[LogShape]:
        """Return the shapes of selected log records."""
        return await self._ask(tuple, "log_shapes", selection=selection, parts=parts, limit=limit)

    async def error_shapes(self, selection: Selection, *, limit: int) -> Sequence[ErrorShape]:
        """Return the shapes of selected spans with status error."""
        return await self._ask(tuple, "error_shapes", selection=selection, limit=limit)

    async def aggregate(
        self,
        signal: Signal,
        selection: Selection,
        measures: Sequence[Measure],
        *,
        by: Sequence[FieldName] = (),
        every: int | None = None,
        limit: int = 20,
    ) -> Aggregate:
        """Return measures per group."""
        return await self._ask(
            Aggregate,
            "aggregate",
            signal=signal,
            selection=selection,
            measures=measures,
            by=by,
            every=every,
            limit=limit,
        )

    async def edges(self, window: Window) -> Sequence[ServiceEdge]:
        """Return the calls between services."""
        return await self._ask(tuple, "edges", window=window)

    async def features(
        self, selection: Selection, *, origin: int, length: int, one_of: int = 1
    ) -> Sequence[FeatureSeries]:
        """Return features per part."""
        return await self._ask(tuple, "features", selection=selection, origin=origin, length=length, one_of=one_of)

    async def select(self, text: str, *, most_rows: int) -> SelectedRows:
        """Return the rows of one SELECT."""
        return await self._ask(SelectedRows, "select", text=text, most_rows=most_rows)

    async def keep_running(self) -> None:
        """Keep the process running until cancelled: start it, and start it again when it has ended.

        Pauses grow while it cannot be started, and only the first failure is logged.
        """
        pause = _KEEP_SECONDS
        while True:
            try:
                async with self._connection() as (reader, _writer):
                    pause = _KEEP_SECONDS
                    await reader.read(1)  # ends with the process, which sends nothing unasked
            except (OSError, StateUnavailable) as problem:
                if pause == _KEEP_SECONDS:
                    _log.warning("the telemetry store cannot be reached", reason=str(problem) or type(problem).__name__)
                pause = min(2 * pause, _MAX_KEEP_SECONDS)
            await asyncio.sleep(pause)

    async def command(self, method: str, **parameters: object) -> tuple[Any, bytes]:
        """Return the result and the payload of a method that is not part of the port.

        Raises:
            StateUnavailable: the process cannot be reached.
            OperationFailed: it reports an error.
        """
        return await self._exchange({"method": method, **parameters})

    async def _ask(self, kind: type[T], method: str, **arguments: object) -> T:
        sent = {name: encoded(value) for name, value in arguments.items()}
        result, _payload = await self._exchange({"method": method, "arguments": sent, "rows": encoded(self._rows)})
        if not isinstance(result, kind):
            raise StateUnavailable(_OTHER_VERSION)
        return result

    async def _exchange(self, header: Mapping[str, object]) -> tuple[Any, bytes]:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._connection() as (reader, writer):
                writer.write(frame({"protocol": PROTOCOL, **header}))
                await writer.drain()
                sizes = lengths_of(await reader.readexactly(LENGTHS))
                answer = header_of(await reader.readexactly(sizes[0]))
                return result_of(answer), await reader.readexactly(sizes[1])
        except (OSError, EOFError, TimeoutError):
            raise StateUnavailable(_GONE) from None
        except ProtocolError:
            raise StateUnavailable(_OTHER_VERSION) from None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        connected = await self._connected()
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _connected(self) -> socket.socket:
        """Return a connection; start the process if nothing listens.

        It is started again if it ends while we wait: it may have found the lock of one that was just ending.
        """
        deadline = monotonic() + _START_SECONDS
        while True:
            try:
                return connect(self._places)
            except (FileNotFoundError, ConnectionRefusedError):
                if monotonic() >= deadline:
                    raise
            self._start()
            await asyncio.sleep(_POLL_SECONDS)


def result_of(answer: Mapping[str, Any]) -> Any:
    """Return the result of an answer.

    Raises:
        OperationFailed: the answer is an error for the caller.
        StateUnavailable: the process speaks another version of the protocol.
    """
    match answer.get("error"):
        case None:
            return decoded(answer.get("result"))
        case "failed":
            raise OperationFailed(str(answer.get("message")))
    raise StateUnavailable(_OTHER_VERSION)
