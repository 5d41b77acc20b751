"""Features of programs per part of a period, for the comparison of periods.

An operation is a service and the masked name of a span, with the name of the span by which the request entered the
service, so that a function that two entries share is two operations. A client's span is named with the operation that
it called. The time of a consumer is no part of its producer's. Values are the version of the service of an entry, and
the variants of feature flags in the attributes and events of a span. Spans and log records that were received twice
count once. Which features are unusual is not decided here.
"""

from collections.abc import Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import FeatureSeries
from tfo_mcp.infrastructure.telemetry_store.queries.logs import MASK
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, Sql

_EXAMPLE = "coalesce(arg_max(trace_id, part), '')"
_SERIES = (
    f"SELECT kind, service, operation, subject, list(part ORDER BY part), list(count ORDER BY part), "
    f"list(value ORDER BY part), {_EXAMPLE} FROM features WHERE value IS NOT NULL "
    "GROUP BY kind, service, operation, subject ORDER BY sum(count) DESC, kind, service, operation, subject"
)
_FLAGS = """list_filter(list_prepend(SpanAttributes, list_transform(Events, lambda event: event.Attributes)),
  lambda each: each['feature_flag.key'] IS NOT NULL)"""
_LEVELS = """SELECT 'metric' AS kind, * FROM otel_metrics_gauge UNION ALL BY NAME
  SELECT 'level' AS kind, * FROM otel_metrics_sum WHERE NOT IsMonotonic AND AggregationTemporality = 2"""
_READ, _SHAPE = 600, 300
"""Characters of a log body that are masked, and those that tell messages apart."""
_ENTRIES = """
, entered AS (SELECT span.trace_id, span.span_id, span.service, span.name AS entry, 0 AS depth
  FROM spans AS span LEFT JOIN spans AS parent
  ON span.trace_id = parent.trace_id AND span.parent_id = parent.span_id
  WHERE parent.span_id IS NULL OR parent.service <> span.service OR span.kind IN ('Server', 'Consumer')
  UNION ALL
  SELECT span.trace_id, span.span_id, span.service, entered.entry, entered.depth + 1
  FROM entered JOIN spans AS span ON span.trace_id = entered.trace_id AND span.parent_id = entered.span_id
  WHERE span.service = entered.service AND span.kind NOT IN ('Server', 'Consumer') AND entered.depth < 50),
entries AS (SELECT trace_id, span_id, any_value(entry) AS entry, min(depth) = 0 AS enters
  FROM entered GROUP BY trace_id, span_id)
"""
"""The span of the same service by which a span's request entered it; 50 levels bound a cycle of parents."""
_NAMED = """
, callees AS (SELECT caller.trace_id, caller.span_id, any_value(callee.service) AS service,
  any_value(callee.name) AS name,
  max(greatest(0, caller.start - callee.start, callee.start - caller.start - caller.duration)) AS outside
  FROM spans AS caller JOIN spans AS callee ON caller.trace_id = callee.trace_id AND caller.span_id = callee.parent_id
  WHERE caller.kind = 'Client' AND caller.service <> callee.service GROUP BY ALL),
named AS MATERIALIZED (SELECT spans.*, spans.name
  || CASE WHEN callees.service IS NULL THEN '' ELSE ' > ' || callees.service || ' ' || callees.name END
  || CASE WHEN coalesce(entry, spans.name) = spans.name THEN '' ELSE ' in ' || entry END AS operation,
  callees.outside, coalesce(enters, false) AS enters
  FROM spans LEFT JOIN callees USING (trace_id, span_id) LEFT JOIN entries USING (trace_id, span_id)),
children AS MATERIALIZED (SELECT parent.trace_id, parent.span_id,
  child.service || ': ' || child.operation AS subject, count(*) AS calls,
  coalesce(sum(child.duration) FILTER (WHERE child.kind <> 'Consumer'), 0) AS duration
  FROM spans AS parent JOIN named AS child
  ON parent.trace_id = child.trace_id AND parent.span_id = child.parent_id GROUP BY ALL),
waits AS (SELECT trace_id, span_id, sum(duration) AS duration FROM children GROUP BY ALL),
operations AS MATERIALIZED (SELECT part, service, operation, count(*) AS count, any_value(trace_id) AS trace_id,
  median(greatest(0, named.duration - coalesce(waits.duration, 0))) AS own,
  count(*) FILTER (WHERE failed) / count(*) AS errors, median(outside) AS outside
  FROM named LEFT JOIN waits USING (trace_id, span_id) GROUP BY part, service, operation)
"""
_FEATURES = """
, counted AS (SELECT part, named.service, named.operation, subject, count(*) AS parents, sum(calls) AS calls,
  any_value(trace_id) AS trace_id FROM children JOIN named USING (trace_id, span_id) GROUP BY ALL),
logged AS (SELECT part, service, operation, shape AS subject, count(*) AS records,
  any_value(trace_id) AS trace_id FROM records JOIN named USING (trace_id, span_id) GROUP BY ALL),
said AS (
  SELECT part, service, operation, 'service.version = ' || version AS subject, trace_id, span_id
  FROM named WHERE enters AND version IS NOT NULL
  UNION
  SELECT part, service, operation, 'feature flag ' || flag['feature_flag.key'] || ' = '
    || coalesce(flag['feature_flag.result.variant'], flag['feature_flag.variant']), trace_id, span_id
  FROM (SELECT part, service, operation, trace_id, span_id, unnest(flags) AS flag FROM named)),
features AS (
  SELECT if(outside IS NULL, 'self_time', 'between') AS kind, service, operation, '' AS subject, part, count,
    own AS value, trace_id FROM operations
  UNION ALL
  SELECT 'clock', service, operation, '', part, count, outside, trace_id FROM operations WHERE outside IS NOT NULL
  UNION ALL
  SELECT 'errors', service, operation, '', part, count, errors, trace_id FROM operations
  UNION ALL
  SELECT 'value', service, operation, subject[:300], part, any_value(count), count(*) / any_value(count),
    any_value(said.trace_id) FROM said JOIN operations USING (part, service, operation)
  WHERE subject IS NOT NULL GROUP BY ALL
  UNION ALL
  SELECT 'child', service, operation, subject, part, count, parents / count, counted.trace_id
  FROM counted JOIN operations USING (part, service, operation)
  UNION ALL
  SELECT 'calls', service, operation, subject, part, count, calls / count, counted.trace_id
  FROM counted JOIN operations USING (part, service, operation)
  UNION ALL
  SELECT 'log', service, operation, subject, part, count, records / count, logged.trace_id
  FROM logged JOIN operations USING (part, service, operation)
)
"""


def features(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    selection: Selection,
    origin: int,
    length: int,
    one_of: int = 1,
) -> Sequence[FeatureSeries]:
    """Return the features of selected spans and of their log records, and gauges if no filter is given, per part."""
    spans, records = _spans(rows, selection, origin, length, one_of), _records(rows, selection, one_of)
    traced = spans + _ENTRIES + _NAMED + records + _FEATURES
    found = (traced + _SERIES).run(cursor)
    if selection.where is None:
        found += (_gauges(rows, selection, origin, length) + _SERIES).run(cursor)
    return [FeatureSeries(*row) for row in found]


def _gauges(rows: Predicate | None, selection: Selection, origin: int, length: int) -> Sql:
    return (
        "WITH features AS (SELECT kind, ServiceName AS service, '' AS operation, MetricName AS subject, "
        f"{_part(origin, length, 'TimeUnix')} AS part, count(*) AS count, avg(Value) AS value, '' AS trace_id "
        f"FROM ({_LEVELS}) WHERE isfinite(Value) AND "
        + SelectionSql(Signal.METRICS, rows).selected(selection)
        + " GROUP BY ALL)"
    )


def _part(origin: int, length: int, time: str = "Timestamp") -> str:
    parts = int(origin) // int(length) + 1  # since the division rounds towards zero, no dividend may be negative
    return f"((epoch_ns({time}) - {int(origin) - parts * int(length)}) // {int(length)} - {parts})::BIGINT"


def _sampled(one_of: int) -> str:
    """Return the condition that keeps 1 of this number of traces."""
    return "" if one_of == 1 else f" AND hash(TraceId) % {int(one_of)} = 0"


def _spans(rows: Predicate | None, selection: Selection, origin: int, length: int, one_of: int) -> Sql:
    return (
        "WITH RECURSIVE spans AS MATERIALIZED (SELECT DISTINCT ON (TraceId, SpanId) "
        f"{_part(origin, length)} AS part, TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_id, "
        f"ServiceName AS service, {MASK.format('SpanName')} AS name, SpanKind AS kind, "
        "epoch_ns(Timestamp) AS start, Duration AS duration, StatusCode = 'Error' AS failed, "
        f"ResourceAttributes['service.version'] AS version, {_FLAGS} AS flags FROM otel_traces WHERE "
        + SelectionSql(Signal.TRACES, rows).selected(selection)
        + _sampled(one_of)
        + ")"
    )


def _records(rows: Predicate | None, selection: Selection, one_of: int) -> Sql:
    return (
        ", records AS (SELECT DISTINCT ON (Timestamp, TraceId, SpanId, hash(Body)) TraceId AS trace_id, "
        f"SpanId AS span_id, {MASK.format(f'Body[:{_READ}]')}[:{_SHAPE}] AS shape FROM otel_logs "
        "WHERE SpanId <> '' AND "
        + SelectionSql(Signal.LOGS, rows).selected(Selection(selection.window))
        + _sampled(one_of)
        + ")"
    )
