"""Estimated tokens against a real tokenizer, and cutting to a budget."""

import json
from dataclasses import asdict

import pytest

from tests.architecture.sources import PROJECT
from tests.support.telemetry_records import shop_trace
from tests.support.tokenizer import real_tokens
from tfo_mcp.analysis.folds import folded
from tfo_mcp.analysis.text import csv_line
from tfo_mcp.analysis.tokens import cut_to_budget, estimated_tokens
from tfo_mcp.analysis.trace_view import TraceView
from tfo_mcp.analysis.traces import tree_of

TREE = tree_of(shop_trace(40))
TEXTS = {
    "tree": "\n".join(TraceView(folded(TREE.roots), TREE.start, 10**9, {}).lines(10**6)[0]),
    "json": json.dumps([asdict(span) for span in shop_trace(10)]),
    "table": "\n".join(
        csv_line((each.trace_id, each.span_id, each.start, each.duration / 1e6, each.service, each.name))
        for each in shop_trace(20)
    ),
    "logs": "\n".join(
        f"2025-11-29T10:{number % 60:02d}:07.{number % 1000:03d}Z ERROR [worker-{number % 7}] c.e.shop.OrderService - "
        f"Timeout after {number * 37} ms calling http://10.0.{number % 9}.17:8080/api/v1/stock?sku={number:05d} "
        f"(attempt={number % 3}, user=4f{number:06x}a1b2) ECONNREFUSED"
        for number in range(60)
    ),
    "stack": """java.lang.IllegalStateException: Failed to obtain JDBC Connection
\tat org.springframework.jdbc.datasource.DataSourceUtils.getConnection(DataSourceUtils.java:84)
\tat com.acme.shop.orders.persistence.JdbcOrderRepository.findOpenByCustomer(JdbcOrderRepository.java:112)
\tat com.acme.shop.orders.ReservationService$$EnhancerBySpringCGLIB$$4f1c2a.reserve(<generated>)
\tat org.apache.catalina.core.ApplicationFilterChain.internalDoFilter(ApplicationFilterChain.java:193)
\tat java.base/java.util.concurrent.ThreadPoolExecutor$Worker.run(ThreadPoolExecutor.java:628)
Caused by: com.zaxxer.hikari.pool.HikariPool$PoolInitializationException: Exception during pool initialization
\tat com.zaxxer.hikari.pool.HikariPool.throwPoolInitializationException(HikariPool.java:596)
\t... 48 more
""",
    "prose": (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8"),
    "source": (PROJECT / "app" / "tfo_mcp" / "analysis" / "traces.py").read_text(encoding="utf-8"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_estimate_is_within_a_tenth_of_a_real_tokenizer(kind: str) -> None:
    assert estimated_tokens(TEXTS[kind]) == pytest.approx(real_tokens(TEXTS[kind]), rel=0.1)


def test_lines_are_cut_to_a_budget_and_the_others_counted() -> None:
    lines = TEXTS["table"].split("\n")
    cut = cut_to_budget(lines, 1000)
    assert len(cut.lines) + cut.omitted == len(lines)
    assert cut.lines == lines[: len(cut.lines)]
    assert 850 <= estimated_tokens("\n".join(cut.lines)) <= 1000
    assert cut_to_budget(lines, 0).omitted == len(lines)
    assert cut_to_budget(lines, 10**6).omitted == 0
