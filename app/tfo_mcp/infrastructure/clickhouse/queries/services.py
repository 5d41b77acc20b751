"""Queries of services: their summaries, the calls between them, and the contents of the store."""

from collections.abc import Sequence

from tfo_mcp.application.ports.telemetry_query import FieldName, Signal, Window
from tfo_mcp.application.ports.telemetry_store import ServiceEdge, ServiceSummary, StoreStatus
from tfo_mcp.infrastructure.clickhouse.connection import Rows
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, joined, nanoseconds
from tfo_mcp.infrastructure.clickhouse.tables import REQUEST, ROLLUP_FIGURES
from tfo_mcp.infrastructure.clickhouse.view import View

_MINUTE = 60 * 10**9
_LONG = 60 * _MINUTE
"""The length of a window from which on whole minutes are read from the rollup, and percentiles are approximate."""
_PEERS = (
    *("peer.service", "db.system.name", "db.system", "messaging.system", "rpc.service", "server.address"),
    *("net.peer.name", "http.host"),
)
"""Attributes that name the callee of a span, the first one that is there."""


async def services(view: View, window: Window) -> Sequence[ServiceSummary]:
    """Return the services that sent anything, the most spans first."""
    spans = {name: rest for name, *rest in await _span_figures(view, window)}
    logs = {name: rest for name, *rest in await _record_figures(view, window, Signal.LOGS)}
    points = {name: rest for name, *rest in await _record_figures(view, window, Signal.METRICS)}
    versions = await _versions(view, window)
    found = []
    for name in {**spans, **logs, **points}:
        figures = [each[name] for each in (spans, logs, points) if name in each]
        requests, errors, p50, p95, span_count = spans[name][2:] if name in spans else (0, 0, None, None, 0)
        log_count, error_logs = logs[name][2:] if name in logs else (0, 0)
        found.append(
            ServiceSummary(
                name,
                versions.get(name, ()),
                first=min(figure[0] for figure in figures),
                last=max(figure[1] for figure in figures),
                requests=requests,
                errors=errors,
                p50=p50,
                p95=p95,
                spans=span_count,
                logs=log_count,
                error_logs=error_logs,
                points=points[name][2] if name in points else 0,
            )
        )
    return sorted(found, key=lambda service: (-service.spans, -service.logs, service.name))


async def _span_figures(view: View, window: Window) -> Rows:
    if view.minutes is not None and window.end - window.start >= _LONG:
        return await view.ask(_long_span_figures(view, view.minutes, window))
    moment = nanoseconds("Timestamp")
    quantile = "quantileExactInclusiveOrNullIf({})(Duration, " + REQUEST + ")"
    statement = (
        f"SELECT ServiceName, min({moment}), max({moment}), countIf({REQUEST}), "
        f"countIf({REQUEST} AND StatusCode = 'Error'), {quantile.format(0.5)}, {quantile.format(0.95)}, count()"
        + view.records(Signal.TRACES).within(window)
        + " GROUP BY ServiceName"
    )
    return await view.ask(statement)


def _long_span_figures(view: View, minutes: str, window: Window) -> SqlPart:
    """Return the query of the figures of a long window: whole minutes of the rollup, and the spans before and after."""
    begin, end = -(-window.start // _MINUTE) * _MINUTE, window.end // _MINUTE * _MINUTE
    spans = view.records(Signal.TRACES)
    edges = [
        f"SELECT ServiceName, {ROLLUP_FIGURES}" + spans.within(edge) + " GROUP BY ServiceName"
        for edge in (Window(window.start, begin), Window(end, window.end))
        if edge.start < edge.end
    ]
    whole = SqlPart(
        f"SELECT ServiceName, First, Last, Requests, Errors, Spans, Durations FROM {minutes} "
        f"WHERE Minute >= {_second(begin)} AND Minute < {_second(end)}"
    )
    quantiles = "quantilesTDigestMerge(0.5, 0.95)(Durations)"
    return (
        f"SELECT ServiceName, {nanoseconds('min(First)')}, {nanoseconds('max(Last)')}, sum(Requests), sum(Errors), "
        + "".join(f"if(sum(Requests) = 0, NULL, toFloat64({quantiles}[{place}])), " for place in (1, 2))
        + "sum(Spans) FROM ("
        + joined(" UNION ALL ", [whole, *edges])
        + ") GROUP BY ServiceName"
    )


def _second(nanoseconds: int) -> str:
    """Return the literal of a time in seconds, limited to those that a DateTime holds."""
    return f"toDateTime({max(0, min(nanoseconds // 10**9, 2**32 - 1))})"


async def _record_figures(view: View, window: Window, signal: Signal) -> Rows:
    records = view.records(signal)
    moment = nanoseconds(records.columns.time)
    statement = (
        f"SELECT ServiceName, min({moment}), max({moment}), count(), countIf({records.columns.error})"
        + records.within(window)
        + " GROUP BY ServiceName"
    )
    return await view.ask(statement)


async def _versions(view: View, window: Window) -> dict[str, list[str]]:
    parts = []
    for signal in (Signal.TRACES, Signal.LOGS):
        records = view.records(signal)
        version = records.text_of(FieldName("service.version", "resource"))
        parts.append(
            "SELECT ServiceName, "
            + version
            + f" AS version, max({records.columns.time}) AS latest"
            + records.within(window)
            + " GROUP BY ServiceName, version"
        )
    statement = (
        "SELECT ServiceName, version FROM ("
        + joined(" UNION ALL ", parts)
        + ") WHERE isNotNull(version) GROUP BY ServiceName, version ORDER BY max(latest) DESC, version"
    )
    found: dict[str, list[str]] = {}
    for name, version in await view.ask(statement):
        found.setdefault(name, []).append(version)
    return found


async def edges(view: View, window: Window) -> Sequence[ServiceEdge]:
    """Return the calls between services, the most calls first."""
    found = [*await _seen_edges(view, window), *await _unseen_edges(view, window)]
    return sorted(found, key=lambda edge: (-edge.calls, edge.caller, edge.callee))


def _pairs(view: View, window: Window) -> SqlPart:
    """Return `FROM` of the calls between spans of two services."""
    spans = (
        "(SELECT TraceId, SpanId, ParentSpanId, ServiceName, Duration, SpanKind, StatusCode"
        + view.records(Signal.TRACES).within(window)
        + ")"
    )
    return (
        " FROM "
        + spans
        + " AS caller INNER JOIN "
        + spans
        + " AS callee ON caller.TraceId = callee.TraceId AND caller.SpanId = callee.ParentSpanId "
        "WHERE caller.ServiceName != callee.ServiceName"
    )


async def _seen_edges(view: View, window: Window) -> Sequence[ServiceEdge]:
    statement = (
        "SELECT caller.ServiceName AS a, callee.ServiceName AS b, count(), "
        "countIf(caller.StatusCode = 'Error' OR callee.StatusCode = 'Error'), "
        "quantileExactInclusive(0.95)(caller.Duration), quantileExactInclusive(0.95)(callee.Duration), "
        "avgOrNullIf(caller.Duration - callee.Duration, caller.SpanKind = 'Client')"
        + _pairs(view, window)
        + " GROUP BY a, b"
    )
    return [ServiceEdge(row[0], row[1], True, *row[2:]) for row in await view.ask(statement)]


async def _unseen_edges(view: View, window: Window) -> Sequence[ServiceEdge]:
    spans = view.records(Signal.TRACES)
    peers = joined(", ", ["nullIf(" + spans.source.attribute("attribute", name) + ", '')" for name in _PEERS])
    statement = (
        "SELECT ServiceName, coalesce("
        + peers
        + ") AS peer, count(), countIf(StatusCode = 'Error'), quantileExactInclusive(0.95)(Duration)"
        + spans.within(window)
        + " AND SpanKind IN ('Client', 'Producer') AND isNotNull(peer) AND (TraceId, SpanId) NOT IN "
        "(SELECT caller.TraceId, caller.SpanId" + _pairs(view, window) + ") GROUP BY ServiceName, peer"
    )
    return [
        ServiceEdge(caller, callee, False, calls, errors, p95, None, None)
        for caller, callee, calls, errors, p95 in await view.ask(statement)
    ]


async def contents(view: View) -> StoreStatus:
    """Return what the store holds."""
    counts: dict[Signal, int] = {}
    earliest: list[int] = []
    latest: list[int] = []
    for signal in Signal:
        records = view.records(signal)
        time = nanoseconds(records.columns.time)
        ((count, first, last),) = await view.ask(f"SELECT count(), min({time}), max({time})" + records.visible())
        counts[signal] = count
        if count:
            earliest.append(first)
            latest.append(last)
    notices = [f"This ClickHouse database has no table of {signal.value}." for signal in view.schema.missing]
    return StoreStatus(
        min(earliest, default=None),
        max(latest, default=None),
        counts[Signal.TRACES],
        counts[Signal.LOGS],
        counts[Signal.METRICS],
        notices=notices,
    )
