"""The TelemetryStore port over a ClickHouse database.

The schema is read at the first query, and again after a minute. Knows neither OTLP nor the embedded store.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import TypeAlias

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
from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseConnection
from tfo_mcp.infrastructure.clickhouse.queries import (
    aggregates,
    features,
    fields,
    logs,
    metrics,
    points,
    services,
    traces,
)
from tfo_mcp.infrastructure.clickhouse.schema import Schema, schema_of
from tfo_mcp.infrastructure.clickhouse.sql import bind
from tfo_mcp.infrastructure.clickhouse.view import View

_SCHEMA_SECONDS = 60.0
Receiver: TypeAlias = Callable[[], Awaitable[StoreStatus]]
"""Returns the addresses and the notices of the process that receives telemetry."""


class SchemaReader:
    """Reads the schema of a connection's database, and keeps it for a minute."""

    def __init__(self, connection: ClickHouseConnection) -> None:
        self._connection = connection
        self._schema: Schema | None = None
        self._read_at = 0.0

    async def schema(self) -> Schema:
        """Return the schema."""
        if self._schema is None or monotonic() - self._read_at > _SCHEMA_SECONDS:
            database = self._connection.database
            tables: dict[str, dict[str, str]] = {}
            statement = "SELECT table, name, type FROM system.columns WHERE database = " + bind(database)
            for table, name, kind in await self._connection.rows(statement):
                tables.setdefault(table, {})[name] = kind
            self._schema, self._read_at = schema_of(database, tables), monotonic()
        return self._schema


class ClickHouseStore:
    """Queries a ClickHouse database.

    Args:
        connection: runs the statements.
        schemas: reads the schema of its database.
        receiver: asks the process that receives telemetry for its addresses; None without one.
        rows: the row filter of every query; None without one.
    """

    def __init__(
        self,
        connection: ClickHouseConnection,
        schemas: SchemaReader | None = None,
        receiver: Receiver | None = None,
        rows: Predicate | None = None,
    ) -> None:
        self._connection = connection
        self._schemas = schemas or SchemaReader(connection)
        self._receiver = receiver
        self._rows = rows

    def restricted(self, rows: Predicate) -> "ClickHouseStore":
        """Return this store without the records that do not match."""
        both = rows if self._rows is None else AllOf((self._rows, rows))
        return ClickHouseStore(self._connection, self._schemas, self._receiver, both)

    async def status(self) -> StoreStatus:
        """Return the contents, and the addresses of the process that receives for this store, if there is one."""
        contents = await services.contents(await self._view())
        if self._receiver is None:
            return contents
        addresses = await self._receiver()
        return replace(
            contents,
            otlp_http=addresses.otlp_http,
            otlp_grpc=addresses.otlp_grpc,
            key_required=addresses.key_required,
            notices=[*contents.notices, *addresses.notices],
        )

    async def services(self, window: Window) -> Sequence[ServiceSummary]:
        """Return the services that sent anything."""
        return await services.services(await self._view(), window)

    async def fields(
        self, signal: Signal, selection: Selection, *, about: str | None, values: int, limit: int
    ) -> FieldSummaries:
        """Return fields with their commonest values."""
        return await fields.fields(await self._view(), signal, selection, about, values, limit)

    async def metrics(self, selection: Selection, *, about: str | None, limit: int) -> Sequence[MetricSummary]:
        """Return metrics."""
        return await metrics.metrics(await self._view(), selection, about, limit)

    async def metric_points(self, name: str, selection: Selection, *, limit: int) -> MetricPoints:
        """Return the series of a metric."""
        return await points.metric_points(await self._view(), name, selection, limit)

    async def traces(
        self, selection: Selection, *, order: TraceOrder, limit: int, offset: int = 0
    ) -> Sequence[TraceSummary]:
        """Return the traces that have a selected span."""
        return await traces.traces(await self._view(), selection, order, limit, offset)

    async def trace(self, trace_id: str, limit: int) -> StoredTrace:
        """Return a trace."""
        return await traces.trace(await self._view(), trace_id, limit)

    async def spans(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[Span]:
        """Return selected spans."""
        return await traces.spans(await self._view(), selection, order, limit, offset)

    async def logs(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[LogRecord]:
        """Return selected log records."""
        return await logs.logs(await self._view(), selection, order, limit, offset)

    async def log_shapes(self, selection: Selection, *, parts: int, limit: int) -> Sequence[LogShape]:
        """Return the shapes of selected log records."""
        return await logs.log_shapes(await self._view(), selection, parts, limit)

    async def error_shapes(self, selection: Selection, *, limit: int) -> Sequence[ErrorShape]:
        """Return the shapes of selected spans with status error."""
        return await traces.error_shapes(await self._view(), selection, limit)

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
        return await aggregates.aggregate(await self._view(), signal, selection, measures, by, every, limit)

    async def edges(self, window: Window) -> Sequence[ServiceEdge]:
        """Return the calls between services."""
        return await services.edges(await self._view(), window)

    async def features(
        self, selection: Selection, *, origin: int, length: int, one_of: int = 1
    ) -> Sequence[FeatureSeries]:
        """Return features per part."""
        return await features.features(await self._view(), selection, origin, length, one_of)

    async def select(self, text: str, *, most_rows: int) -> SelectedRows:
        """Return rows of a SELECT."""
        from tfo_mcp.infrastructure.clickhouse.queries.select import select  # sqlglot takes 20 MiB

        return await select(await self._view(), text, most_rows)

    async def _view(self) -> View:
        return View(self._connection, await self._schemas.schema(), self._rows)
