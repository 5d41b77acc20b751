"""A ClickHouse for tests: chDB behind its HTTP front, with tables in the three shapes of schema.

Owns the process, the statements of the tables and the rows of records. Knows the port's records, no query.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, Child, free_port
from tests.support.programs import await_answer, program
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, TelemetryStore
from tfo_mcp.bootstrap import Settings
from tfo_mcp.bootstrap.telemetry_store import StoredTelemetry
from tfo_mcp.domain.access import OWNER

Shape = Literal["maps", "json", "telemetryflow"]
SHAPES: Sequence[Shape] = ("maps", "json", "telemetryflow")
USER, PASSWORD = "reader", "a password"
_REPOSITORY = Path(__file__).parents[2]
_MAP = "Map(LowCardinality(String), String)"


@dataclass(frozen=True)
class ClickHouseServer:
    """A running ClickHouse."""

    child: Child
    port: int

    def url(self, database: str) -> str:
        """Return the value of `telemetry.store` for a database."""
        return f"clickhouse://{USER}@{LOOPBACK}:{self.port}/{database}"

    def execute(self, statement: str, data: str = "") -> str:
        """Execute a statement as an administrator, and return its answer as text."""
        parameters = {"query": statement} if data else {}
        answer = httpx.post(
            f"http://{LOOPBACK}:{self.port}/",
            params=parameters,
            content=(data or statement).encode(),
            auth=(USER, PASSWORD),
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows into a table."""
        if rows:
            data = "\n".join(json.dumps(row) for row in rows)
            self.execute(f"INSERT INTO {table} FORMAT JSONEachRow", data)


@contextmanager
def clickhouse_server(directory: Path) -> Iterator[ClickHouseServer]:
    """Run a ClickHouse until the end of the block.

    Args:
        directory: an empty directory for its data.
    """
    port = free_port()
    line = [sys.executable, "-m", "tests.support.clickhouse_front", str(directory), str(port), f"{USER}:{PASSWORD}"]
    with program(line, directory, _REPOSITORY) as running:
        await_answer(running, f"http://{LOOPBACK}:{port}/ping", 4 * PATIENCE)  # the engine is 550 MB
        yield ClickHouseServer(running, port)


@dataclass(frozen=True)
class Gauge:
    """A point of a gauge."""

    service: str
    name: str
    time: int
    value: float
    resource: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TelemetryDatabase:
    """A database with empty tables of one shape."""

    server: ClickHouseServer
    name: str
    shape: Shape

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables of a server that uses the database."""
        prefix = "TELEMETRYFLOW_MCP_TELEMETRY_STORE"
        return {prefix: self.server.url(self.name), f"{prefix}_PASSWORD": PASSWORD}

    def create(self) -> None:
        """Create the database and its tables."""
        self.server.execute(f"CREATE DATABASE {self.name}")
        for statement in TABLES[self.shape]:
            self.server.execute(statement.format(db=self.name))

    def add(
        self,
        spans: Sequence[Span] = (),
        logs: Sequence[LogRecord] = (),
        gauges: Sequence[Gauge] = (),
    ) -> None:
        """Insert records."""
        is_own = self.shape == "telemetryflow"
        names = ("traces", "logs", "metrics") if is_own else ("otel_traces", "otel_logs", "otel_metrics_gauge")
        makers: Sequence[Callable[[Any], Mapping[str, Any]]] = (
            (_own_span, _own_log, _own_gauge) if is_own else (_span, _log, _gauge)
        )
        for name, make, records in zip(names, makers, (spans, logs, gauges), strict=True):
            self.server.insert(f"{self.name}.{name}", [make(record) for record in records])


@contextmanager
def clickhouse_store(url: str, **settings: object) -> Iterator[TelemetryStore]:
    """Yield the store of `telemetry.store` with further settings of its section, as its owner reads it."""
    section = {"store": url, "store_password": PASSWORD, **settings}
    stored = StoredTelemetry(Settings.model_validate({"telemetry": section}))
    try:
        yield stored.of(OWNER)
    finally:
        stored.close()


def _exporter(attributes: str) -> Sequence[str]:
    """Return the statements of the exporter's tables with a type of attributes, without codecs and indexes."""
    metric = (
        f"ResourceAttributes {attributes}, ScopeName String, ServiceName LowCardinality(String), MetricName String, "
        f"MetricDescription String, MetricUnit String, Attributes {attributes}, StartTimeUnix DateTime64(9), "
        "TimeUnix DateTime64(9), Flags UInt32"
    )
    exemplars = (
        f"Exemplars Nested (FilteredAttributes {attributes}, TimeUnix DateTime64(9), Value Float64, SpanId String, "
        "TraceId String)"
    )
    distribution = f"Count UInt64, Sum Float64, Min Float64, Max Float64, AggregationTemporality Int32, {exemplars}"
    order = "ENGINE = MergeTree ORDER BY (ServiceName, MetricName, toUnixTimestamp64Nano(TimeUnix))"
    return (
        "CREATE TABLE {db}.otel_traces (Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, "
        "TraceState String, SpanName LowCardinality(String), SpanKind LowCardinality(String), "
        f"ServiceName LowCardinality(String), ResourceAttributes {attributes}, ScopeName String, ScopeVersion String, "
        f"SpanAttributes {attributes}, Duration UInt64, StatusCode LowCardinality(String), StatusMessage String, "
        f"Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes {attributes}), "
        f"Links Nested (TraceId String, SpanId String, TraceState String, Attributes {attributes})) "
        "ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))",
        "CREATE TABLE {db}.otel_traces_trace_id_ts (TraceId String, Start DateTime, End DateTime) "
        "ENGINE = MergeTree ORDER BY (TraceId, Start)",
        "CREATE MATERIALIZED VIEW {db}.otel_traces_trace_id_ts_mv TO {db}.otel_traces_trace_id_ts AS "
        "SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM {db}.otel_traces WHERE TraceId != '' "
        "GROUP BY TraceId",
        "CREATE TABLE {db}.otel_logs (Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt8, "
        "SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String, "
        f"ResourceAttributes {attributes}, ScopeName String, LogAttributes {attributes}, EventName String) "
        "ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, Timestamp)",
        f"CREATE TABLE {{db}}.otel_metrics_gauge ({metric}, Value Float64, {exemplars}) {order}",
        f"CREATE TABLE {{db}}.otel_metrics_sum ({metric}, Value Float64, {exemplars}, AggregationTemporality Int32, "
        f"IsMonotonic Bool) {order}",
        f"CREATE TABLE {{db}}.otel_metrics_histogram ({metric}, {distribution}, BucketCounts Array(UInt64), "
        f"ExplicitBounds Array(Float64)) {order}",
        f"CREATE TABLE {{db}}.otel_metrics_exponential_histogram ({metric}, {distribution}, Scale Int32, "
        "ZeroCount UInt64, PositiveOffset Int32, PositiveBucketCounts Array(UInt64), NegativeOffset Int32, "
        f"NegativeBucketCounts Array(UInt64)) {order}",
        f"CREATE TABLE {{db}}.otel_metrics_summary ({metric}, Count UInt64, Sum Float64, "
        f"ValueAtQuantiles Nested (Quantile Float64, Value Float64)) {order}",
    )


_TENANT = "organization_id String DEFAULT '', workspace_id String DEFAULT '', tenant_id String DEFAULT '', "
TABLES: Mapping[Shape, Sequence[str]] = {
    "maps": _exporter(_MAP),
    "json": _exporter("JSON"),
    "telemetryflow": (
        "CREATE TABLE {db}.traces (timestamp DateTime64(9), trace_id String, span_id String, parent_span_id String, "
        "span_name String, "
        "span_kind Enum8('INTERNAL' = 1, 'SERVER' = 2, 'CLIENT' = 3, 'PRODUCER' = 4, 'CONSUMER' = 5), "
        "service_name String, status_code Enum8('UNSET' = 0, 'OK' = 1, 'ERROR' = 2), status_message String, "
        f"duration_ns UInt64, {_TENANT}resource_attributes Map(String, String), span_attributes Map(String, String), "
        "events String DEFAULT '', links String DEFAULT '') "
        "ENGINE = MergeTree PARTITION BY toYYYYMMDD(timestamp) ORDER BY (service_name, trace_id, timestamp)",
        "CREATE TABLE {db}.logs (timestamp DateTime64(9), observed_timestamp DateTime64(9) DEFAULT now64(9), "
        "trace_id String, span_id String, trace_flags UInt32, severity_text String, severity_number UInt8, "
        f"service_name String, {_TENANT}body String, resource_attributes Map(String, String), scope_name String, "
        "scope_version String, log_attributes Map(String, String)) "
        "ENGINE = MergeTree PARTITION BY toYYYYMMDD(timestamp) ORDER BY (service_name, timestamp)",
        "CREATE TABLE {db}.metrics (timestamp DateTime64(9), metric_name String, "
        "metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4), value Float64, "
        f"service_name String, {_TENANT}resource_attributes Map(String, String), "
        "metric_attributes Map(String, String), unit String DEFAULT '') "
        "ENGINE = MergeTree PARTITION BY toYYYYMMDD(timestamp) ORDER BY (service_name, metric_name, timestamp)",
    ),
}


def _time(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def _span(span: Span) -> Mapping[str, Any]:
    return {
        "Timestamp": _time(span.start),
        "TraceId": span.trace_id,
        "SpanId": span.span_id,
        "ParentSpanId": span.parent_span_id,
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": span.kind.capitalize(),
        "ServiceName": span.service,
        "ResourceAttributes": {"service.name": span.service, **span.resource},
        "ScopeName": span.scope,
        "SpanAttributes": dict(span.attributes),
        "Duration": span.duration,
        "StatusCode": span.status.capitalize(),
        "StatusMessage": span.status_message,
        "Events.Timestamp": [_time(event.time) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [dict(event.attributes) for event in span.events],
        "Links.TraceId": [link.trace_id for link in span.links],
        "Links.SpanId": [link.span_id for link in span.links],
        "Links.TraceState": ["" for _ in span.links],
        "Links.Attributes": [dict(link.attributes) for link in span.links],
    }


def _log(record: LogRecord) -> Mapping[str, Any]:
    return {
        "Timestamp": _time(record.time),
        "TraceId": record.trace_id,
        "SpanId": record.span_id,
        "SeverityText": record.severity_text,
        "SeverityNumber": record.severity,
        "ServiceName": record.service,
        "Body": record.body,
        "ResourceAttributes": {"service.name": record.service, **record.resource},
        "ScopeName": record.scope,
        "LogAttributes": dict(record.attributes),
        "EventName": record.event_name,
    }


def _gauge(point: Gauge) -> Mapping[str, Any]:
    return {
        "ServiceName": point.service,
        "MetricName": point.name,
        "TimeUnix": _time(point.time),
        "Value": point.value,
        "ResourceAttributes": {"service.name": point.service, **point.resource},
        "Attributes": point.attributes,
    }


def _own_resource(service: str, resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of a resource; TelemetryFlow's collector has the tenant in a column of its own."""
    rest = {name: value for name, value in resource.items() if name != "tenant.id"}
    return {
        "service_name": service,
        "tenant_id": resource.get("tenant.id", ""),
        "resource_attributes": {"service.name": service, **rest},
    }


def _own_span(span: Span) -> Mapping[str, Any]:
    events = [{"name": event.name, "attributes": dict(event.attributes)} for event in span.events]
    return {
        "timestamp": _time(span.start),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "span_name": span.name,
        "span_kind": "INTERNAL" if span.kind == "unspecified" else span.kind.upper(),
        "status_code": span.status.upper(),
        "status_message": span.status_message,
        "duration_ns": span.duration,
        "span_attributes": dict(span.attributes),
        "events": json.dumps(events) if events else "",
        **_own_resource(span.service, span.resource),
    }


def _own_log(record: LogRecord) -> Mapping[str, Any]:
    return {
        "timestamp": _time(record.time),
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "severity_text": record.severity_text,
        "severity_number": record.severity,
        "body": record.body,
        "scope_name": record.scope,
        "log_attributes": dict(record.attributes),
        **_own_resource(record.service, record.resource),
    }


def _own_gauge(point: Gauge) -> Mapping[str, Any]:
    return {
        "timestamp": _time(point.time),
        "metric_name": point.name,
        "metric_type": "gauge",
        "value": point.value,
        "metric_attributes": point.attributes,
        **_own_resource(point.service, point.resource),
    }
