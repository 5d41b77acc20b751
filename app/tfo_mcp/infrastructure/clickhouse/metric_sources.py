"""The source of metric points: five tables of OpenTelemetry's exporter, or TelemetryFlow's. Must not know queries."""

from collections.abc import Mapping

from tfo_mcp.infrastructure.clickhouse.sources import (
    MAP,
    Columns,
    Shape,
    SignalSource,
    StoredTable,
    no_records,
    tenant_resource,
    tenant_source,
)

_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def metric_source(database: str, tables: Mapping[str, Columns]) -> SignalSource:
    """Return the source of the points of all kinds of metrics."""
    names = [f"otel_metrics_{kind}" for kind in _KINDS]
    found = [StoredTable(database, name, tables[name]) for name in names if name in tables]
    if found:
        parts = " UNION ALL ".join(table.select(_exporter_points(table)) for table in found)
        shape: Shape = "json" if found[0].is_json("Attributes") else "maps"
        return SignalSource(f"({parts})", "Attributes", shape, [table.place for table in found])
    if {"value", "metric_name"} <= set(tables.get("metrics", {})):
        table = StoredTable(database, "metrics", tables["metrics"])
        return tenant_source(table, _own_points(table), "Attributes")
    return no_records(_POINT_TYPES, "Attributes")


def _exporter_points(table: StoredTable) -> Mapping[str, str]:
    texts = ("ServiceName", "ScopeName", "MetricName", "MetricDescription", "MetricUnit")
    return {
        "TimeUnix": table.time("TimeUnix"),
        "StartTimeUnix": table.time("StartTimeUnix") if table.has("StartTimeUnix") else _NEVER,
        **{name: table.text(name) for name in texts},
        "Attributes": table.map("Attributes"),
        "ResourceAttributes": table.map("ResourceAttributes"),
        "Kind": f"'{table.name.removeprefix('otel_metrics_')}'",
        "Temporality": table.number("AggregationTemporality", "Int32"),
        "Monotonic": table.number("IsMonotonic", "UInt8"),
        "Value": f"CAST({table.column('Value') if table.has('Value') else 'NULL'}, 'Nullable(Float64)')",
        **_distribution(table),
    }


def _distribution(table: StoredTable) -> Mapping[str, str]:
    """Return the columns of histograms, summaries and exemplars; without them, of none."""
    is_measured = table.has("Min") and table.has("Max")
    absent = f"{table.column('Min')} = 0 AND {table.column('Max')} = 0" if is_measured else "1"
    limits = {
        name: f"CAST(if({absent}, NULL, {table.column(name)}), 'Nullable(Float64)')"
        if is_measured
        else "CAST(NULL, 'Nullable(Float64)')"
        for name in ("Min", "Max")
    }
    return {
        "Count": table.number("Count", "UInt64"),
        "Sum": table.number("Sum", "Float64"),
        **limits,
        "ExplicitBounds": table.array("ExplicitBounds", "Float64"),
        "BucketCounts": table.array("BucketCounts", "UInt64"),
        "Scale": table.number("Scale", "Int32"),
        "ZeroCount": table.number("ZeroCount", "UInt64"),
        "ZeroThreshold": table.number("ZeroThreshold", "Float64"),
        "PositiveOffset": table.number("PositiveOffset", "Int32"),
        "PositiveBucketCounts": table.array("PositiveBucketCounts", "UInt64"),
        "NegativeOffset": table.number("NegativeOffset", "Int32"),
        "NegativeBucketCounts": table.array("NegativeBucketCounts", "UInt64"),
        "Quantiles": table.array("ValueAtQuantiles.Quantile", "Float64"),
        "QuantileValues": table.array("ValueAtQuantiles.Value", "Float64"),
        "ExemplarValues": table.array("Exemplars.Value", "Float64"),
        "ExemplarTimes": table.times("Exemplars.TimeUnix"),
        "ExemplarTraces": table.texts("Exemplars.TraceId"),
        "ExemplarSpans": table.texts("Exemplars.SpanId"),
    }


def _own_points(table: StoredTable) -> Mapping[str, str]:
    """Return the columns of TelemetryFlow's points, each of one value: counters are sums, all others gauges."""
    is_counter = f"{table.text('metric_type')} = 'counter'"
    return {
        "TimeUnix": table.time("timestamp"),
        "StartTimeUnix": _NEVER,
        "ServiceName": table.text("service_name"),
        "ScopeName": "''",
        "MetricName": table.text("metric_name"),
        "MetricDescription": "''",
        "MetricUnit": table.text("unit"),
        "Attributes": table.map("metric_attributes"),
        "ResourceAttributes": tenant_resource(table),
        "Kind": f"if({is_counter}, 'sum', 'gauge')",
        "Temporality": f"toInt32(if({is_counter}, 2, 0))",
        "Monotonic": f"toUInt8({is_counter})",
        "Value": f"CAST({table.column('value')}, 'Nullable(Float64)')",
        **_distribution(table),
    }


_NEVER = "toDateTime64(0, 9)"
_POINT_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("TimeUnix", "StartTimeUnix"), "DateTime64(9)"),
    **dict.fromkeys(("ServiceName", "ScopeName", "MetricName", "MetricDescription", "MetricUnit", "Kind"), "String"),
    **dict.fromkeys(("Attributes", "ResourceAttributes"), MAP),
    **dict.fromkeys(("Temporality", "Scale", "PositiveOffset", "NegativeOffset"), "Int32"),
    "Monotonic": "UInt8",
    **dict.fromkeys(("Value", "Min", "Max"), "Nullable(Float64)"),
    **dict.fromkeys(("Count", "ZeroCount"), "UInt64"),
    **dict.fromkeys(("Sum", "ZeroThreshold"), "Float64"),
    **dict.fromkeys(("BucketCounts", "PositiveBucketCounts", "NegativeBucketCounts"), "Array(UInt64)"),
    **dict.fromkeys(("ExplicitBounds", "Quantiles", "QuantileValues", "ExemplarValues"), "Array(Float64)"),
    "ExemplarTimes": "Array(Int64)",
    **dict.fromkeys(("ExemplarTraces", "ExemplarSpans"), "Array(String)"),
}
POINT_COLUMNS = tuple(_POINT_TYPES)
"""The columns of the source."""
