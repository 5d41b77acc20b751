"""Attacks on the stored telemetry by SQL: other statements, files, the process, other tables, bombs, other callers."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.guarded import Guarded, guarded
from tests.support.hostile_selects import GROWTH, OTHER_FUNCTIONS, OTHER_SOURCES, OTHER_STATEMENTS
from tests.support.otlp_json import send_records
from tests.support.telemetry_records import shop_logs, shop_trace
from tests.support.telemetry_stores import RunningStore, telemetry_store
from tfo_mcp.application.ports.telemetry_query import Comparison, FieldName
from tfo_mcp.application.ports.telemetry_store import SelectedRows
from tfo_mcp.domain.errors import OperationFailed


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


def test_casts_give_null_and_mean_utc_however_deep_they_are(store: RunningStore) -> None:
    query = (
        "SELECT CAST('2025-11-29 10:00:00' AS TIMESTAMP), CAST(CAST('y' AS INT) AS DOUBLE), "
        "CAST(CAST(now() AS TIMESTAMP) AS VARCHAR)"
    )
    ((moment, number, now),) = select(store, query).rows
    assert (moment, number) == ("2025-11-29T10:00:00Z", None)
    assert abs(datetime.fromisoformat(f"{now}+00:00") - datetime.now(UTC)) < timedelta(minutes=5)


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
