"""`telemetry_sql` over ClickHouse: the answers of the embedded store, and nothing but SELECTs of the listed tables."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.clickhouse import SHAPES, ClickHouseServer, TelemetryDatabase, clickhouse_server, clickhouse_store
from tests.support.hostile_selects import GROWTH, OTHER_FUNCTIONS, OTHER_SOURCES, OTHER_STATEMENTS
from tests.support.otlp_json import send_records
from tests.support.telemetry_records import shop_logs, shop_trace
from tests.support.telemetry_stores import RunningStore, telemetry_store
from tfo_mcp.application.ports.telemetry_query import Comparison, FieldName
from tfo_mcp.application.ports.telemetry_store import SelectedRows, TelemetryStore
from tfo_mcp.domain.errors import OperationFailed

pytestmark = pytest.mark.anyio
FIRST_SPAN = "FROM otel_traces ORDER BY Timestamp, SpanId LIMIT 1"
SAME = [
    "SELECT ServiceName, count(*) AS spans, quantile_cont(Duration, 0.5) / 1e6 AS p50, min(Timestamp) AS first, "
    "any_value(SpanAttributes['db.system']) AS db FROM otel_traces WHERE ServiceName IN ('stock', 'orders') "
    "AND Timestamp < now() - INTERVAL 1 HOUR GROUP BY ALL ORDER BY spans DESC, 1",
    "WITH failed AS (SELECT *, unnest(Events) AS e FROM otel_traces WHERE StatusCode = 'Error') "
    "SELECT e.Name, e.Attributes['exception.type'] AS type, row_number() OVER (ORDER BY SpanName) AS n "
    "FROM failed JOIN otel_traces_trace_id_ts USING (TraceId) QUALIFY n = 1",
    "SELECT median(Duration), arg_max(SpanName, Duration), stddev(Duration), stddev_pop(Duration), "
    "stddev_samp(Duration), variance(Duration), var_pop(Duration), corr(Duration, Duration) FROM otel_traces",
    "SELECT quantile_disc(Duration, 0.5), bool_and(Duration > 0), bool_or(Duration < 0), count(DISTINCT SpanName), "
    "count_if(Duration > 5), sum(Duration), avg(Duration), max(Duration), entropy(SpanName) FROM otel_traces",
    "SELECT coalesce(NULL, 'b'), nullif(1, 1), greatest(1, 2), least(1, 2), abs(-1), round(1.256, 2), floor(1.5), "
    "ceil(1.5), sqrt(4), ln(1), log(10), log10(10), exp(0), pow(2, 3), sign(-4), 5 % 3, 7 // 2, -7 // 2, 1 / 4",
    "SELECT lower('A'), upper('a'), length('äb'), trim(' a '), left('äbc', 2), right('abc', 2), "
    "substring('äbcd', 2, 2), split_part('a.b', '.', 2), strpos('abx', 'x'), starts_with('ab', 'a'), "
    "ends_with('ab', 'b'), contains('ab', 'c'), regexp_extract('axb', 'x(.)', 1), regexp_extract('axb', 'x.'), "
    "regexp_matches('axb', 'x'), 'ab' ILIKE 'A_', 'a' IS DISTINCT FROM NULL",
    f"SELECT extract(hour FROM Timestamp), date_trunc('hour', Timestamp), time_bucket(INTERVAL 5 MINUTE, Timestamp), "
    f"date_diff('second', Timestamp, Timestamp + INTERVAL 1 MINUTE), year(Timestamp), month(Timestamp), "
    f"day(Timestamp), dayofweek(Timestamp), hour(Timestamp), minute(Timestamp), second(Timestamp), "
    f"strftime(Timestamp, '%Y-%m-%d %H:%M:%S'), strftime(Timestamp, '%B'), epoch(Timestamp), epoch_ns(Timestamp), "
    f"Timestamp - INTERVAL '90 minutes', make_timestamp_ns(1000000000) {FIRST_SPAN}",
    "SELECT list_contains(map_keys(SpanAttributes), 'db.system'), "
    "cardinality(SpanAttributes), map_contains(SpanAttributes, 'db.system'), element_at(SpanAttributes, 'db.system'), "
    "map_extract(SpanAttributes, 'nothing'), SpanAttributes['db.system'], spanattributes['nothing'] "
    "FROM otel_traces WHERE SpanAttributes['db.system'] IS NOT NULL ORDER BY Timestamp, SpanId LIMIT 1",
    "SELECT SpanName, row_number() OVER (ORDER BY SpanId), rank() OVER (ORDER BY SpanName), "
    "dense_rank() OVER (ORDER BY SpanName), percent_rank() OVER (ORDER BY SpanName), "
    "cume_dist() OVER (ORDER BY SpanName), ntile(4) OVER (ORDER BY SpanId), lag(SpanName) OVER (ORDER BY SpanId), "
    "lead(SpanName) OVER (ORDER BY SpanId), first_value(SpanName) OVER (ORDER BY SpanId), "
    "last_value(SpanName) OVER (ORDER BY SpanId), nth_value(SpanName, 2) OVER (ORDER BY SpanId) "
    "FROM otel_traces WHERE TraceId <> '' ORDER BY SpanId LIMIT 3",
    "SELECT SpanName, count(*) FILTER (WHERE Duration > 1) FROM otel_traces GROUP BY 1 HAVING count(*) > 1 "
    "ORDER BY ALL",
    "SELECT '12'::BIGINT, TRY_CAST('x' AS DOUBLE), CAST(12 AS VARCHAR), CAST('2025-11-29' AS DATE), "
    "CAST('2025-11-29 10:00:00' AS TIMESTAMP), CAST(CAST('y' AS INT) AS DOUBLE), CAST('true' AS BOOLEAN), "
    "CAST(now() AS DATE) > CAST('2020-01-01' AS DATE)",
    "SELECT DISTINCT t.SpanName FROM otel_traces t LEFT JOIN otel_logs v ON t.TraceId = v.TraceId "
    "AND v.Body = 'nothing' WHERE v.Body IS NULL AND t.SpanName NOT LIKE 'x\\' ORDER BY 1 LIMIT 5",
    "SELECT spanname AS Name FROM OTEL_TRACES AS Spans WHERE SPANS.spanname > '' ORDER BY NAME LIMIT 1",
    "SELECT sum(Duration), max(SpanName) FROM otel_traces WHERE false",
    "SELECT min(Timestamp) AS Timestamp FROM otel_traces WHERE Timestamp > '2020-01-01' GROUP BY SpanName ORDER BY 1",
    "SELECT SeverityNumber, count(*) FROM otel_logs GROUP BY 1 UNION ALL SELECT 0, 1 ORDER BY 1",
    "SELECT count(*) FROM otel_metrics_gauge EXCEPT SELECT 7",
    "SELECT 'it''s \\', '\\'' OR 1=1 --', 'a\\nb', '{p0:String}'",
    'SELECT 1 AS "a name", count(*) FROM otel_traces',
    "WITH duration AS (SELECT 1 AS a), First AS (SELECT a FROM DURATION) SELECT FIRST.a FROM first AS FIRST",
]
ONLY_HERE = [
    "SELECT * FROM system.tables",
    "SELECT * FROM url('http://127.0.0.1/', CSV, 'a String')",
    "SELECT * FROM file('/etc/passwd', LineAsString)",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM numbers(10)",
    "SELECT hostName()",
    "SELECT currentUser()",
    "SELECT sleep(3)",
    "SELECT getSetting('max_memory_usage')",
    "SELECT dictGet('a', 'b', 1)",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 FORMAT CSV",
    "SELECT 1 INTO OUTFILE '/tmp/stolen'",
    'SELECT 1 AS "a\\"',
    "SELECT mode(SpanName) FROM otel_traces",
    "SELECT quantile_cont(Duration, Duration) FROM otel_traces",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def embedded() -> Iterator[RunningStore]:
    with telemetry_store({"max_age_seconds": 10**9}) as running:
        send_records(running.http, shop_trace(40), shop_logs())
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="module", params=SHAPES)
def clickhouse(server: ClickHouseServer, request: pytest.FixtureRequest) -> Iterator[TelemetryStore]:
    database = TelemetryDatabase(server, f"sql_{request.param}", request.param)
    database.create()
    database.add(shop_trace(40), shop_logs())
    with clickhouse_store(server.url(database.name)) as store:
        yield store


def comparable(found: SelectedRows) -> list[list[Any]]:
    """Return rows whose numbers are compared within rounding; a Boolean is a number in ClickHouse."""
    return [
        [pytest.approx(float(cell)) if isinstance(cell, int | float) else cell for cell in row] for row in found.rows
    ]


@pytest.mark.parametrize("query", SAME)
async def test_an_answer_is_that_of_the_embedded_store(
    clickhouse: TelemetryStore, embedded: RunningStore, query: str
) -> None:
    found = await clickhouse.select(query, most_rows=1000)
    expected = embedded.ask(lambda client: client.select(query, most_rows=1000))
    rows: Sequence[Any] = [[float(c) if isinstance(c, int | float) else c for c in row] for row in found.rows]
    assert rows == comparable(expected)
    assert expected.rows


async def test_columns_have_the_names_that_the_caller_wrote(clickhouse: TelemetryStore) -> None:
    found = await clickhouse.select(
        "SELECT ServiceName, count(*), max(Duration) AS most FROM otel_traces GROUP BY 1", most_rows=1
    )
    assert (found.columns, len(found.rows), found.complete) == (["ServiceName", "COUNT(*)", "most"], 1, False)


@pytest.mark.parametrize("text", [*OTHER_STATEMENTS, *OTHER_SOURCES, *OTHER_FUNCTIONS, *GROWTH, *ONLY_HERE])
async def test_only_a_select_of_the_tables_and_listed_functions_is_executed(
    clickhouse: TelemetryStore, text: str
) -> None:
    with pytest.raises(OperationFailed) as refused:
        await clickhouse.select(text, most_rows=10)
    assert "error" not in refused.value.message  # it did not reach the server


async def test_mistakes_are_explained(clickhouse: TelemetryStore) -> None:
    with pytest.raises(OperationFailed, match=r"not found\. Columns: otel_traces\(Timestamp, TraceId, SpanId"):
        await clickhouse.select("SELECT service FROM otel_traces", most_rows=1)
    with pytest.raises(OperationFailed, match="Did you mean otel_traces"):
        await clickhouse.select("SELECT 1 FROM otel_trace", most_rows=1)


async def test_a_caller_with_row_rules_is_refused(clickhouse: TelemetryStore) -> None:
    rows = Comparison(FieldName("service.name", "resource"), "=", "orders")
    with pytest.raises(OperationFailed, match="row rules"):
        await clickhouse.restricted(rows).select("SELECT 1", most_rows=1)
