"""The contract of TelemetryStore: the embedded store and ClickHouse, in three schemas, give the same answers."""

from collections.abc import Iterator

import pytest

from tests.contracts.telemetry_stores import (
    GAUGES,
    ODD_NAME,
    ODD_VALUE,
    OTHER_TRACE,
    STORES,
    WINDOW,
    FilledStore,
    filled_store,
    logs,
    spans,
)
from tests.support.telemetry_records import MS, START, TRACE_ID
from tfo_mcp.analysis.filters import parse_filter
from tfo_mcp.application.ports.telemetry_query import Comparison, FieldName, Measure, Selection, Signal, Window
from tfo_mcp.domain.errors import OperationFailed

ALL = Selection(WINDOW)
SECOND = 1000 * MS
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=STORES)
def filled(request: pytest.FixtureRequest) -> Iterator[FilledStore]:
    server = None if request.param == "embedded" else request.getfixturevalue("clickhouse")
    with filled_store(request.param, server) as store:
        yield store


def where(text: str) -> Selection:
    return Selection(WINDOW, parse_filter(text))


async def test_the_status_counts_what_is_stored(filled: FilledStore) -> None:
    status = await filled.store.status()
    assert (status.spans, status.logs, status.points) == (len(spans()), len(logs()), len(GAUGES))
    assert (status.earliest, status.latest) == (logs()[0].time, START + 4 * SECOND)
    assert (status.otlp_http is None) == (filled.kind != "embedded")


async def test_services_have_figures_of_their_requests(filled: FilledStore) -> None:
    found = {each.name: each for each in await filled.store.services(WINDOW)}
    assert set(found) == {"gateway", "orders", "stock", "payment"}
    orders = found["orders"]
    assert (orders.spans, orders.requests, orders.errors, orders.logs) == (123, 2, 0, 80)
    assert orders.p50 == pytest.approx(443 * MS)
    assert orders.p95 == pytest.approx((30 + 826 * 0.95) * MS)
    assert sorted(orders.versions) == ["1.0", "2.0"]
    assert (found["payment"].errors, found["payment"].error_logs, found["stock"].points) == (1, 2, len(GAUGES))


async def test_fields_have_coverage_and_values(filled: FilledStore) -> None:
    found = await filled.store.fields(Signal.TRACES, ALL, about=None, values=2, limit=100)
    fields = {(each.place, each.name): each for each in found.fields}
    assert found.records == len(spans())
    system = fields["attribute", "db.system"]
    assert (system.records, list(system.values)) == (40, [("postgresql", 40)])
    assert list(fields["resource", "tenant.id"].values) == [("acme", 170), ("globex", 1)]
    assert fields[None, "service.name"].values[0] == ("orders", 123)
    assert fields[None, "duration"].numeric
    assert not fields[None, "name"].numeric
    named = await filled.store.fields(Signal.TRACES, ALL, about="QUERY", values=1, limit=10)
    assert [(each.name, each.distinct) for each in named.fields] == [("db.query.text", 40)]


async def test_metrics_are_listed(filled: FilledStore) -> None:
    (metric,) = await filled.store.metrics(ALL, about="CPU", limit=10)
    assert (metric.name, metric.kind, metric.points, list(metric.services)) == (
        *("process.cpu.usage", "gauge", len(GAUGES)),
        ["stock"],
    )
    assert not await filled.store.metrics(ALL, about="%", limit=10)


async def test_points_of_a_metric_are_series(filled: FilledStore) -> None:
    found = await filled.store.metric_points("process.cpu.usage", ALL, limit=100)
    (series,) = found.series
    assert (found.total, series.kind, series.service, series.attributes) == (5, "gauge", "stock", {})
    assert (list(series.times), list(series.points)) == ([each.time for each in GAUGES], [0.0, 1.0, 2.0, 3.0, 4.0])
    beyond = await filled.store.metric_points("process.cpu.usage", ALL, limit=4)
    assert (list(beyond.series), beyond.total) == ([], 5)


async def test_a_trace_is_summarized_as_a_whole(filled: FilledStore) -> None:
    (found,) = await filled.store.traces(where("status = error"), order="slowest", limit=10)
    assert (found.trace_id, found.spans, found.errors, found.start) == (TRACE_ID, 170, 2, START)
    assert (found.root, found.duration) == (("gateway", "POST /checkout"), 860 * MS)
    assert (found.slowest, found.slowest_duration) == (("stock", "GET /stock/{sku}"), 7 * MS)
    ordered = await filled.store.traces(ALL, order="latest", limit=10)
    assert [each.trace_id for each in ordered] == [OTHER_TRACE, TRACE_ID]
    assert (ordered[0].root, ordered[0].slowest) == (("orders", "GET /other"),) * 2
    assert [each.trace_id for each in await filled.store.traces(ALL, order="errors", limit=1, offset=1)] == [
        OTHER_TRACE
    ]


async def test_a_trace_has_its_earliest_spans_and_counts_of_logs(filled: FilledStore) -> None:
    trace = await filled.store.trace(TRACE_ID, 3)
    assert (trace.total, [span.name for span in trace.spans]) == (
        170,
        ["POST /checkout", "POST /orders", "reserve item"],
    )
    assert trace.logs == {"0000000000000001": 2}
    assert (await filled.store.trace("0" * 32, 3)).total == 0
    (other,) = (await filled.store.trace(OTHER_TRACE, 9)).spans
    expected = spans()[-1]
    assert other.attributes == expected.attributes
    assert {**other.resource, "service.name": ""} == {**expected.resource, "service.name": ""}
    assert (other.start, other.duration, other.kind, other.status) == (START + 500 * MS, 30 * MS, "server", "unset")


async def test_spans_have_events(filled: FilledStore) -> None:
    (span,) = await filled.store.spans(where('service.name = "payment" and status = error'), order="latest", limit=9)
    (event,) = span.events
    assert (event.name, event.attributes["exception.type"]) == ("exception", "CardDeclined")
    assert event.attributes["exception.message"] == "card 4111 declined\nby issuer"
    page = await filled.store.spans(ALL, order="earliest", limit=2, offset=1)
    assert [each.name for each in page] == ["POST /orders", "reserve item"]


async def test_logs_are_listed_by_time(filled: FilledStore) -> None:
    found = await filled.store.logs(ALL, order="earliest", limit=2)
    assert [(each.body, each.severity) for each in found] == [(each.body, each.severity) for each in logs()[:2]]
    assert [each.time for each in found] == [each.time for each in logs()[:2]]
    errors = await filled.store.logs(where("severity >= error"), order="latest", limit=9)
    assert [each.trace_id for each in errors] == [TRACE_ID, TRACE_ID]


async def test_log_records_that_differ_in_numbers_have_one_shape(filled: FilledStore) -> None:
    start = logs()[0].time
    shapes = await filled.store.log_shapes(Selection(Window(start, START)), parts=2, limit=20)
    found = {each.body.split()[0]: each for each in shapes}
    assert sum(each.count for each in shapes) == 200
    payment = found["Payment"]
    assert (list(payment.counts), list(payment.trace_ids)) == (
        [1, 0],
        [TRACE_ID],
    )  # one card a shape
    assert (found["retry"].severity, list(found["retry"].counts)) == (13, [20, 20])
    assert found["Payment"].first == start


async def test_errors_have_the_exception_or_the_status(filled: FilledStore) -> None:
    found = {each.service: each for each in await filled.store.error_shapes(ALL, limit=9)}
    assert (found["payment"].exception_type, found["payment"].count) == ("CardDeclined", 1)
    assert found["payment"].message == "card 4111 declined\nby issuer"
    assert (found["orders"].exception_type, found["orders"].operation, found["orders"].trace_id) == (
        *("", "POST /pay"),
        TRACE_ID,
    )


async def test_groups_are_the_largest_and_the_rest(filled: FilledStore) -> None:
    measures = [Measure("count"), Measure("p95", FieldName("duration")), Measure("errors")]
    by = [FieldName("service.name"), FieldName("db.system")]
    found = await filled.store.aggregate(Signal.TRACES, ALL, measures, by=by, limit=2)
    assert [(row.group, row.values) for row in found.rows] == [
        (("orders", None), (83.0, pytest.approx(19 * MS), 1.0)),
        (("orders", "postgresql"), (40.0, 6.0 * MS, 0.0)),
    ]
    assert (found.groups, [row.values[0] for row in found.rest]) == (5, [48.0])
    assert found.rest[0].group == ()


async def test_groups_have_parts_of_the_window(filled: FilledStore) -> None:
    selection = Selection(Window(START - SECOND, START + SECOND))
    count = [Measure("count")]
    whole = await filled.store.aggregate(Signal.LOGS, selection, count, every=SECOND // 2)
    assert [(row.start, row.values) for row in whole.rows] == [
        (START - SECOND, (100.0,)),
        (START - SECOND // 2, (100.0,)),
    ]
    grouped = await filled.store.aggregate(
        Signal.LOGS, selection, count, by=[FieldName("service.name")], every=SECOND, limit=1
    )
    assert [(row.group, row.start, row.values) for row in grouped.rows] == [(("orders",), START - SECOND, (80.0,))]
    assert [(row.start, row.values) for row in grouped.rest] == [(START - SECOND, (120.0,))]
    nothing = await filled.store.aggregate(Signal.LOGS, where('body = "x"'), [Measure("sum", FieldName("n"))])
    assert ([row.values for row in nothing.rows], nothing.groups) == ([(None,)], 0)


async def test_calls_between_services_are_edges(filled: FilledStore) -> None:
    found = {(each.caller, each.callee): each for each in await filled.store.edges(WINDOW)}
    stock = found["orders", "stock"]
    assert (stock.calls, stock.callee_seen, stock.overhead, stock.callee_p95) == (40, True, 2.0 * MS, 7.0 * MS)
    assert found["orders", "payment"].errors == 1
    unseen = found["orders", "postgresql"]
    assert (unseen.callee_seen, unseen.calls, unseen.callee_p95) == (False, 40, None)


async def test_features_belong_to_operations(filled: FilledStore) -> None:
    series = await filled.store.features(ALL, origin=START - 60 * SECOND, length=60 * SECOND)
    found = {(each.kind, each.service, each.operation, each.subject): each for each in series}
    between = found["between", "orders", "GET /stock/{sku} > stock GET /stock/{sku} in POST /orders", ""]
    assert (list(between.parts), list(between.counts), list(between.values)) == ([1], [40], [2.0 * MS])
    assert list(found["clock", between.service, between.operation, ""].values) == [0.0]
    assert found["value", "stock", "GET /stock/{sku}", "service.version = 1.0"].values[0] == 1.0
    assert found["value", "orders", "GET /other", "feature flag beta = on"].values[0] == 1.0
    assert found["self_time", "orders", "reserve item in POST /orders", ""].values[0] == 10.0 * MS
    assert found["errors", "payment", "POST /pay", ""].values[0] == 1.0
    assert found["calls", "orders", "POST /orders", "orders: SELECT stock in POST /orders"].values[0] == 40.0
    assert found["child", "orders", "POST /orders", "orders: SELECT stock in POST /orders"].values[0] == 1.0
    logged = found["log", "gateway", "POST /checkout", "Payment of order * failed: card declined by visa"]
    assert (list(logged.values), logged.trace_id) == ([1.0], TRACE_ID)
    assert list(found["metric", "stock", "", "process.cpu.usage"].values) == [2.0]
    before = await filled.store.features(ALL, origin=START + 30 * SECOND, length=60 * SECOND)
    assert {tuple(each.parts) for each in before if each.kind == "errors"} == {(-1,)}
    part = 60 * SECOND
    shares = [await filled.store.features(ALL, origin=START, length=part, one_of=each) for each in (1, 2, 10**6)]
    spans, fewer, hardly_any = (sum(sum(each.counts) for each in one if each.kind == "errors") for one in shares)
    assert spans > fewer >= hardly_any
    filtered = await filled.store.features(where('service.name = "stock"'), origin=START, length=60 * SECOND)
    assert {each.service for each in filtered} == {"stock"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('name = "GET /other"', 1),
        ('name != "GET /other"', 170),
        ("kind = SERVER", 44),
        ("duration > 500ms", 2),
        ('name ~ "^get /O"', 1),
        ("http.response.status_code >= 500", 1),
        ("not http.response.status_code >= 500", 170),
        ("cached = true", 1),
        ("db.system exists", 40),
        ("not (db.system exists)", 131),
        ('db.query.text in ("SELECT * FROM stock WHERE sku = 7", "x")', 1),
        ('tenant.id = "acme"', 171),
        ('resource.tenant.id = "acme"', 170),
        ('attributes.tenant.id = "acme"', 1),
        ('name ~ "100%{x:String}"', 0),
        ("db.system > 5", 0),
        ("resource.service.name = stock", 40),
    ],
)  # fmt: skip
async def test_filters_mean_the_same(filled: FilledStore, text: str, count: int) -> None:
    found = await filled.store.aggregate(Signal.TRACES, where(text), [Measure("count")])
    assert found.rows[0].values == (float(count),)


HOSTILE = ["'; DROP TABLE otel_traces; --", "{p0:String}", "\\N", "%s", "ü\n", "\\'"]


@pytest.mark.parametrize(("text", "count"), [(ODD_VALUE, 1), *((text, 0) for text in HOSTILE)])
async def test_texts_are_values_and_never_statements(filled: FilledStore, text: str, count: int) -> None:
    selection = Selection(WINDOW, Comparison(FieldName(ODD_NAME), "=", text))
    found = await filled.store.aggregate(Signal.TRACES, selection, [Measure("count")])
    assert found.rows[0].values == (float(count),)


async def test_a_restricted_store_has_the_rows_of_its_filter_only(filled: FilledStore) -> None:
    rows = parse_filter('resource.tenant.id = "globex"')
    store = filled.store.restricted(rows)
    status = await store.status()
    assert (status.spans, status.logs, status.points) == (1, 0, 0)
    assert [each.name for each in await store.services(WINDOW)] == ["orders"]
    assert (await store.trace(TRACE_ID, 9)).total == 0
    both = store.restricted(parse_filter('resource.tenant.id = "acme"'))
    assert (await both.status()).spans == 0


async def test_no_answer_of_a_restricted_store_holds_another_tenants_records(filled: FilledStore) -> None:
    """The other tenant's span claims the reader's tenant in its attributes."""
    store = filled.store.restricted(parse_filter('resource.tenant.id = "acme"'))
    names = [FieldName("name"), FieldName("service.version", "resource")]
    answers = [
        await store.status(),
        await store.services(WINDOW),
        await store.fields(Signal.TRACES, ALL, about=None, values=100, limit=100),
        await store.metrics(ALL, about=None, limit=10),
        await store.metric_points("process.cpu.usage", ALL, limit=100),
        await store.traces(ALL, order="latest", limit=10),
        await store.trace(OTHER_TRACE, 10),
        await store.spans(where('tenant.id = "acme"'), order="latest", limit=1000),
        await store.aggregate(Signal.TRACES, ALL, [Measure("count")], by=names, every=SECOND, limit=100),
        await store.edges(WINDOW),
        await store.features(ALL, origin=WINDOW.start, length=60 * SECOND),
    ]
    secrets = ("globex", "GET /other", OTHER_TRACE, "'2.0'", ODD_NAME)
    assert [answer for answer in answers if any(secret in repr(answer) for secret in secrets)] == []
    assert (await store.status()).spans == 170


async def test_an_invalid_pattern_is_reported(filled: FilledStore) -> None:
    with pytest.raises(OperationFailed, match="The query is not valid"):
        await filled.store.spans(where('name ~ "(?=x)"'), order="latest", limit=1)
