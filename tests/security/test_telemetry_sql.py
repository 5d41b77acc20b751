"""Attacks on the stored telemetry by SQL: other statements, files, the process, other tables, bombs, other callers."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.guarded import Guarded, guarded
from tests.support.otlp_json import send_records
from tests.support.telemetry_records import shop_logs, shop_trace
from tests.support.telemetry_stores import RunningStore, telemetry_store
from tfo_mcp.application.ports.telemetry_query import Comparison, FieldName
from tfo_mcp.application.ports.telemetry_store import SelectedRows
from tfo_mcp.domain.errors import OperationFailed

OTHER_STATEMENTS = [
    "",
    ";",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE otel_logs",
    "COPY otel_logs TO '/tmp/stolen.csv'",
    "COPY (SELECT 1) TO '/tmp/stolen.csv'",
    "ATTACH '/tmp/other.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "SET memory_limit = '100GB'",
    "RESET ALL",
    "CALL pragma_version()",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE otel_logs",
    "SHOW TABLES",
    "SUMMARIZE otel_logs",
    "DELETE FROM otel_logs",
    "INSERT INTO otel_logs SELECT * FROM otel_logs",
    "UPDATE otel_logs SET Body = ''",
    "CREATE TABLE stolen AS SELECT * FROM otel_logs",
    "CREATE TEMP VIEW otel_logs AS SELECT 1",
    "EXPORT DATABASE '/tmp/stolen'",
    "CHECKPOINT",
    "BEGIN TRANSACTION",
    "PREPARE x AS SELECT 1",
    "WITH gone AS (DELETE FROM otel_logs RETURNING *) SELECT * FROM gone",
    "SELECT 1 INTO stolen",
    "VALUES (1)",
]
OTHER_SOURCES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_json('/proc/self/fd/4')",
    "SELECT * FROM read_parquet('https://example.com/x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "FROM 'https://example.com/x.csv'",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM otel_logs WHERE Body IN (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM otel_logs, LATERAL (SELECT * FROM glob(Body))",
    "SELECT * FROM query('SELECT * FROM duckdb_settings()')",
    "SELECT * FROM query_table('tfo_mcp_schema')",
    "SELECT * FROM tfo_mcp_schema",
    "SELECT * FROM main.otel_logs",
    "SELECT * FROM store.main.otel_logs",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM self",
    "SELECT * FROM range(1000000000)",
    "SELECT * FROM generate_series(1, 1000000000)",
    "WITH a AS (SELECT * FROM duckdb_tables), duckdb_tables AS (SELECT 1) SELECT * FROM a",
    "SELECT * FROM (WITH duckdb_tables AS (SELECT 1) SELECT 1), duckdb_tables",
    "WITH otel_logs AS (SELECT 1) SELECT * FROM otel_logs",
]
OTHER_FUNCTIONS = [
    "SELECT getenv('HOME')",
    "SELECT 'HOME'.getenv()",
    "SELECT current_setting('temp_directory')",
    "SELECT current_database(), current_user, version()",
    "SELECT getvariable('x'), pg_typeof(1)",
    "SELECT write_log('x')",
    "SELECT parse_path(Body) FROM otel_logs",
    "SELECT COLUMNS(*) FROM otel_logs",
    "SELECT e'\\'', $$ text $$, X'00'",
    "SELECT ?, $1",
    "SELECT ServiceName FROM otel_logs LIMIT (SELECT 5)",
    "SELECT CAST(Body AS STRUCT(a INT)) FROM otel_logs",
]
GROWTH = [
    "SELECT repeat('x', 2000000000)",
    "SELECT lpad('x', 2000000000, 'x')",
    "SELECT concat(Body, Body) FROM otel_logs",
    "SELECT Body || Body FROM otel_logs",
    "SELECT replace(Body, 'a', 'aaaaaaaaaaaaaaaa') FROM otel_logs",
    "SELECT string_agg(Body, ',') FROM otel_logs",
    "SELECT list(Body) FROM otel_logs",
    "SELECT [Body, Body] FROM otel_logs",
    "SELECT {'a': Body, 'b': Body} FROM otel_logs",
    "SELECT row(Body, Body), (Body, Body) FROM otel_logs",
    "SELECT list_resize([1], 1000000000)",
    "SELECT list_transform(Events, e -> Events) FROM otel_traces",
    "WITH RECURSIVE bomb AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM bomb) SELECT count(*) FROM bomb",
    "WITH RECURSIVE bomb(n) AS (SELECT 1 UNION ALL SELECT a.n FROM bomb a, bomb b) SELECT * FROM bomb",
    "SELECT " + "(" * 1500 + "1" + ")" * 1500,
    "SELECT " + "NOT " * 900 + "true",
    "SELECT " + "1, " * 2000 + "1",
]


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with telemetry_store({"max_age_seconds": 10**9}) as running:
        send_records(running.http, shop_trace(40), shop_logs())
        yield running


def select(store: RunningStore, text: str, most_rows: int = 1000) -> SelectedRows:
    return store.ask(lambda client: client.select(text, most_rows=most_rows))


def refusal(store: RunningStore, text: str) -> str:
    with pytest.raises(OperationFailed) as refused:
        select(store, text)
    return str(refused.value)


@pytest.mark.parametrize("text", [*OTHER_STATEMENTS, *OTHER_SOURCES, *OTHER_FUNCTIONS, *GROWTH])
def test_only_a_select_of_the_tables_and_listed_functions_is_executed(store: RunningStore, text: str) -> None:
    message = refusal(store, text)
    assert "internal error" not in message
    assert "root:" not in message
    assert select(store, "SELECT count(*) FROM otel_logs").rows == ((2000,),)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM otel_logs a, otel_logs b, otel_logs c, otel_logs d",
        "SELECT a.Body FROM otel_logs a, otel_logs b, otel_logs c ORDER BY a.Body DESC, b.Body, c.Body",
        "SELECT quantile_cont(a.SeverityNumber, 0.5) FROM otel_logs a, otel_logs b, otel_logs c",
    ],
)
def test_joins_without_conditions_end_at_a_limit_while_others_are_served(store: RunningStore, text: str) -> None:
    message = refusal(store, text)
    assert "check the conditions of joins" in message, message
    send_records(store.http, shop_trace(1), [])
    assert select(store, "SELECT 1").rows == ((1,),)


def test_a_result_has_limits_of_rows_and_bytes(store: RunningStore) -> None:
    rows = select(store, "SELECT a.Body FROM otel_logs a, otel_logs b LIMIT 100000")
    assert (len(rows.rows), rows.complete) == (1000, False)
    wide = select(store, f"SELECT {', '.join(['Body'] * 300)} FROM otel_logs")
    assert not wide.complete
    assert 0 < len(wide.rows) < 1000


def test_errors_quote_no_stored_text(store: RunningStore) -> None:
    assert select(store, "SELECT CAST(Body AS INT) FROM otel_logs LIMIT 1").rows == ((None,),)
    for text in (
        "SELECT Body->>'$.a' FROM otel_logs",
        "SELECT length(Body) * 9223372036854775807 FROM otel_logs",
    ):
        assert refusal(store, text).startswith("A value cannot be computed"), text


def test_values_are_quoted_in_the_statement(store: RunningStore) -> None:
    for text in ("'", "'' OR 1=1 --", "\\'; DROP TABLE otel_logs; --", "\u0000", '"', "/* */", "$$"):
        quoted = text.replace("'", "''")
        assert select(store, f'SELECT \'{quoted}\' AS "a""b; --"').rows == ((text,),)
        assert select(store, f"SELECT count(*) FROM otel_logs WHERE Body = '{quoted}' -- '").rows == ((0,),)


def test_a_caller_with_row_rules_is_refused(store: RunningStore) -> None:
    rows = Comparison(FieldName("tenant.id", "resource"), "=", "acme")
    with pytest.raises(OperationFailed, match="row rules"):
        store.ask(lambda client: client.restricted(rows).select("SELECT 1", most_rows=1))


def test_over_the_network_it_takes_a_scope_of_its_own(store: RunningStore, tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": os.fspath(store.home), "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}
    with guarded(tmp_path, variables, mcp={"plugins": []}) as gate:
        reader = gate.key("telemetry:read", "tools:read", name="reader")
        assert "telemetry_sql" not in gate.stateless(reader, "tools/list").text
        assert _called(gate, reader).status_code == 403
        analyst = gate.key("telemetry:sql", name="analyst")
        result = _called(gate, analyst).json()["result"]
        assert "\n2000\n" in result["content"][0]["text"]


def _called(gate: Guarded, key: str) -> Any:
    query = {"query": "SELECT count(*) AS records FROM otel_logs WHERE ServiceName <> 'tfo-mcp'"}
    return gate.stateless(key, "tools/call", {"name": "telemetry_sql", "arguments": query})
