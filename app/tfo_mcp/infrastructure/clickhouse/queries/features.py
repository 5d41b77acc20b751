"""Features of programs per part of a period, for the comparison of periods.

An operation is a service and the masked name of a span, with the name of the span by which the request entered the
service, so that a function that two entries share is two operations. A client's span is named with the operation that
it called. The time of a consumer is no part of its producer's. Values are the version of the service of an entry, and
the variants of feature flags in the attributes and events of a span. Spans and log records that were received twice
count once. ClickHouse evaluates a named subquery wherever it stands, so that each kind of feature is a statement of
its own. Which features are unusual is not decided here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tfo_mcp.application.ports.telemetry_query import Selection, Signal
from tfo_mcp.application.ports.telemetry_store import FeatureKind, FeatureSeries
from tfo_mcp.infrastructure.clickhouse.selections import MASK
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, nanoseconds
from tfo_mcp.infrastructure.clickhouse.view import View

_MAX_SHAPE = 300
_DOUBLINGS = 6  # of the levels that an entry is looked for above a span: 64
_IS_LEVEL = "(Kind = 'gauge' OR (Kind = 'sum' AND NOT Monotonic AND Temporality = 2))"
"""Gauges, and sums that also fall."""
_FLAGS = "arrayFilter(each -> each['feature_flag.key'] != '', arrayConcat([SpanAttributes], EventAttributes))"
_VARIANTS = ("feature_flag.result.variant", "feature_flag.variant")
_ENTERING = "('Server', 'Consumer')"
Feature: TypeAlias = tuple[tuple[FeatureKind, str, str, str], int, int, float, str]
"""Kind, service, operation and subject; part, count, value and example."""


async def features(
    view: View, selection: Selection, origin: int, length: int, one_of: int = 1
) -> Sequence[FeatureSeries]:
    """Return the features of selected spans and of their log records, and gauges if no filter is given, per part."""
    query = _Spans(view, selection, origin, length, one_of)
    operations = {tuple(row[:3]): row[3:] for row in await view.ask(query.operations())}
    counts = {key: int(row[0]) for key, row in operations.items()}
    found = [
        *_of_operations(operations),
        *_of_children(await view.ask(query.children()), counts),
        *_of_logs(await view.ask(query.logs()), counts),
        *_of_clocks(await view.ask(query.clocks()), counts),
        *_of_values(await view.ask(query.values()), counts),
    ]
    if selection.where is None:
        found += [
            (("metric" if kind == "gauge" else "level", service, "", name), part, count, value, "")
            for kind, service, name, part, count, value in await view.ask(_gauges(view, selection, origin, length))
        ]
    return _series(found)


def _of_operations(operations: Mapping[Any, Sequence[Any]]) -> Iterator[Feature]:
    for (part, service, operation), (count, trace_id, own, errors, calls) in operations.items():
        kind: FeatureKind = "between" if calls else "self_time"
        yield (kind, service, operation, ""), part, count, own, trace_id
        yield ("errors", service, operation, ""), part, count, errors, trace_id


def _of_children(rows: Sequence[Sequence[Any]], counts: Mapping[Any, int]) -> Iterator[Feature]:
    for part, service, operation, subject, parents, calls, trace_id in rows:
        count = counts[part, service, operation]
        yield ("child", service, operation, subject), part, count, parents / count, trace_id
        yield ("calls", service, operation, subject), part, count, calls / count, trace_id


def _of_logs(rows: Sequence[Sequence[Any]], counts: Mapping[Any, int]) -> Iterator[Feature]:
    for part, service, operation, subject, spans, trace_id in rows:
        count = counts[part, service, operation]
        yield ("log", service, operation, subject), part, count, spans / count, trace_id


def _of_clocks(rows: Sequence[Sequence[Any]], counts: Mapping[Any, int]) -> Iterator[Feature]:
    for part, service, operation, outside, trace_id in rows:
        yield ("clock", service, operation, ""), part, counts[part, service, operation], outside, trace_id


def _of_values(rows: Sequence[Sequence[Any]], counts: Mapping[Any, int]) -> Iterator[Feature]:
    for part, service, operation, subject, spans, trace_id in rows:
        count = counts[part, service, operation]
        yield ("value", service, operation, subject), part, count, spans / count, trace_id


def _series(found: Sequence[Feature]) -> Sequence[FeatureSeries]:
    grouped: dict[tuple[FeatureKind, str, str, str], list[Feature]] = {}
    for feature in sorted(found, key=lambda feature: feature[1]):
        grouped.setdefault(feature[0], []).append(feature)
    series = []
    for name, some in grouped.items():
        _, parts, counts, values, examples = zip(*some, strict=True)
        series.append(FeatureSeries(*name, parts, counts, values, examples[-1]))
    return sorted(series, key=lambda one: (-sum(one.counts), one.kind, one.service, one.operation, one.subject))


def _part(origin: int, length: int, time: str) -> str:
    parts = int(origin) // int(length) + 1  # since the division rounds towards zero, no dividend may be negative
    return f"intDiv({nanoseconds(time)} - ({int(origin) - parts * int(length)}), {int(length)}) - {parts}"


def _gauges(view: View, selection: Selection, origin: int, length: int) -> SqlPart:
    return (
        f"SELECT Kind, ServiceName, MetricName, {_part(origin, length, 'TimeUnix')} AS part, count(), "
        "avg(assumeNotNull(Value))"
        + view.records(Signal.METRICS).selected(selection)
        + f" AND {_IS_LEVEL} AND isFinite(ifNull(Value, inf)) GROUP BY Kind, ServiceName, MetricName, part"
    )


class _Spans:
    """The statements about the spans of a selection."""

    def __init__(self, view: View, selection: Selection, origin: int, length: int, one_of: int) -> None:
        sampled = "" if one_of == 1 else f" AND cityHash64(TraceId) % {int(one_of)} = 0"
        self._spans = (
            f"(SELECT {_part(origin, length, 'Timestamp')} AS part, TraceId AS trace_id, SpanId AS span_id, "
            f"ParentSpanId AS parent_id, ServiceName AS service, {MASK.format('SpanName')} AS name, SpanKind AS kind, "
            f"{nanoseconds('Timestamp')} AS start, Duration AS duration, StatusCode = 'Error' AS failed, "
            f"ResourceAttributes['service.version'] AS version, {_FLAGS} AS flags"
            + view.records(Signal.TRACES).selected(selection)
            + f"{sampled} LIMIT 1 BY TraceId, SpanId)"
        )
        self._records = (
            f"(SELECT TraceId AS trace_id, SpanId AS span_id, "
            f"substringUTF8({MASK.format('Body')}, 1, {_MAX_SHAPE}) AS shape"
            + view.records(Signal.LOGS).selected(Selection(selection.window))
            + f"{sampled} AND SpanId != '' LIMIT 1 BY Timestamp, TraceId, SpanId, Body)"
        )
        self._named = self._operations_of_spans()

    def operations(self) -> SqlPart:
        """Return the query of parts and operations: spans, an example, median own time and share of errors."""
        waits = (
            "(SELECT trace_id, parent_id AS span_id, sum(duration) AS waited FROM "
            + self._spans
            + " WHERE parent_id != '' AND kind != 'Consumer' GROUP BY trace_id, parent_id)"
        )
        own = "greatest(0, named.duration - waits.waited)"
        return (
            "SELECT named.part, named.service, named.operation, count(), any(named.trace_id), "
            f"quantileExactInclusive(0.5)({own}), countIf(named.failed) / count(), max(named.calls) FROM "
            + self._named
            + " AS named LEFT JOIN "
            + waits
            + " AS waits ON named.trace_id = waits.trace_id AND named.span_id = waits.span_id "
            "GROUP BY named.part, named.service, named.operation"
        )

    def children(self) -> SqlPart:
        """Return the query of parts, operations and children: parents, calls and an example."""
        return (
            "SELECT part, service, operation, subject, count(), sum(calls), any(trace_id) FROM ("
            "SELECT parent.part AS part, parent.service AS service, parent.operation AS operation, "
            "concat(child.service, ': ', child.operation) AS subject, parent.trace_id AS trace_id, "
            "parent.span_id AS span_id, count() AS calls FROM "
            + self._named
            + " AS parent INNER JOIN "
            + self._named
            + " AS child ON parent.trace_id = child.trace_id AND parent.span_id = child.parent_id "
            "GROUP BY part, service, operation, subject, trace_id, span_id) "
            "GROUP BY part, service, operation, subject"
        )

    def logs(self) -> SqlPart:
        """Return the query of parts, operations and shapes of log records: records and an example."""
        return (
            "SELECT named.part, named.service, named.operation, records.shape, count(), "
            "any(records.trace_id) FROM "
            + self._records
            + " AS records INNER JOIN "
            + self._named
            + " AS named ON records.trace_id = named.trace_id AND records.span_id = named.span_id "
            "GROUP BY named.part, named.service, named.operation, records.shape"
        )

    def clocks(self) -> SqlPart:
        """Return the query of parts and operations that call others: time of these outside of the call, an example."""
        return (
            "SELECT part, service, operation, quantileExactInclusive(0.5)(arrayMax(outside)), any(trace_id) FROM "
            + self._named
            + " WHERE calls GROUP BY part, service, operation"
        )

    def values(self) -> SqlPart:
        """Return the query of parts, operations and values: spans and an example."""
        version = "if(enters AND version != '', [concat('service.version = ', version)], [])"
        variant = "if(mapContains(each, '{0}'), each['{0}'], each['{1}'])".format(*_VARIANTS)
        flag = f"arrayMap(each -> concat('feature flag ', each['feature_flag.key'], ' = ', {variant}), flags)"
        return (
            "SELECT part, service, operation, subject, count(), any(trace_id) FROM (SELECT part, service, operation, "
            f"trace_id, arrayJoin(arrayDistinct(arrayConcat({version}, {flag}))) AS subject FROM "
            + self._named
            + ") GROUP BY part, service, operation, subject"
        )

    def _operations_of_spans(self) -> SqlPart:
        """Return the query of the spans with their operations."""
        callees = (
            "(SELECT callee.trace_id AS trace_id, callee.parent_id AS span_id, "
            "arraySort(groupUniqArray((callee.service, callee.name))) AS called, "
            "groupArray((callee.service, callee.start)) AS starts FROM "
            + self._spans
            + " AS callee WHERE callee.parent_id != '' "
            "GROUP BY callee.trace_id, callee.parent_id)"
        )
        return (
            "(SELECT spans.part AS part, spans.trace_id AS trace_id, spans.span_id AS span_id, "
            "spans.parent_id AS parent_id, spans.service AS service, spans.duration AS duration, "
            "spans.failed AS failed, spans.version AS version, spans.flags AS flags, entries.enters AS enters, "
            "arrayMap(each -> greatest(0, spans.start - each.2, each.2 - spans.start - spans.duration), "
            "arrayFilter(each -> each.1 != spans.service, callees.starts)) AS outside, "
            "arrayFirst(each -> each.1 != spans.service, callees.called) AS callee, "
            "spans.kind = 'Client' AND callee.1 != '' AS calls, "
            "concat(spans.name, "
            "if(calls, concat(' > ', callee.1, ' ', callee.2), ''), "
            "if(entries.entry = spans.name, '', concat(' in ', entries.entry))) AS operation FROM "
            + self._spans
            + " AS spans LEFT JOIN "
            + callees
            + " AS callees ON spans.trace_id = callees.trace_id AND spans.span_id = callees.span_id LEFT JOIN "
            + self._entries()
            + " AS entries ON spans.trace_id = entries.trace_id AND spans.span_id = entries.span_id)"
        )

    def _entries(self) -> SqlPart:
        """Return the query of the name of the span by which the request of each span entered its service.

        A trace is a row of arrays. `up0` is the place of each span's parent, or its own if it is an entry; every
        further one follows twice as many of these steps.
        """
        steps = "".join(
            f", arrayMap(place -> up{number}[place], up{number}) AS up{number + 1}" for number in range(_DOUBLINGS)
        )
        return (
            "(SELECT trace_id, span_id, entry, enters FROM (SELECT trace_id, groupArray(span_id) AS ids, "
            "groupArray(cityHash64(span_id)) AS hashes, groupArray(cityHash64(parent_id)) AS parents, "
            f"groupArray(service) AS services, groupArray(name) AS names, groupArray(kind IN {_ENTERING}) AS entering, "
            "arrayMap(parent -> indexOf(hashes, parent), parents) AS above, "
            "arrayMap((place, parent) -> if(parent = 0 OR entering[place] OR services[parent] != services[place], "
            f"toUInt64(place), parent), arrayEnumerate(ids), above) AS up0{steps}, "
            f"arrayMap(place -> names[place], up{_DOUBLINGS}) AS found, "
            "arrayMap((place, own) -> place = own, up0, arrayEnumerate(ids)) AS entered FROM "
            + self._spans
            + " GROUP BY trace_id) ARRAY JOIN ids AS span_id, found AS entry, entered AS enters)"
        )
