"""Lines of a trace: within their budget, with nothing dropped silently."""

import re

import pytest

from tests.support.telemetry_records import shop_trace, span
from tfo_mcp.analysis.folds import folded
from tfo_mcp.analysis.tokens import estimated_tokens
from tfo_mcp.analysis.trace_view import TraceView, critical_lines
from tfo_mcp.analysis.traces import critical_path, tree_of
from tfo_mcp.application.ports.telemetry_store import Span


def view_of(spans: list[Span]) -> TraceView:
    tree = tree_of(spans)
    return TraceView(folded(tree.roots), tree.start, tree.end - tree.start, {"0000000000000002": 3})


def spans_on(lines: list[str]) -> int:
    """Return the number of spans that lines stand for."""
    return sum(int(((found := re.search(r"(?:… | x)(\d+)\b", line)) and found[1]) or 1) for line in lines)


def test_a_large_trace_is_a_short_tree() -> None:
    lines, hidden = view_of(list(shop_trace(40))).lines(2500)
    assert hidden == 0
    assert lines[:8] == [
        "POST /checkout [gateway] 860 ms, 0000000000000001",
        " POST /orders [orders] 856 ms, self 56 ms, critical 6.5 %, 3 logs, 0000000000000002",
        "  reserve item x40 (sum 760 ms, max 19 ms), self 400 ms, critical 47 %, slowest 0000000000000005",
        "   GET /stock/{sku} x40 (sum 360 ms, max 9 ms), self 80 ms, critical 9.3 %, slowest 0000000000000007",
        "    GET /stock/{sku} [stock] x40 (sum 280 ms, max 7 ms), critical 33 %, slowest 0000000000000008",
        "  SELECT stock x40 (sum 240 ms, max 6 ms), slowest 0000000000000006",
        "  POST /pay 40 ms, +805 ms, ERROR, 0000000000000003",
        "   POST /pay [payment] 38 ms, ERROR CardDeclined: card 4111 declined⏎by issuer, 0000000000000004",
    ]
    assert spans_on(lines) == 170


@pytest.mark.parametrize("budget", [30, 60, 150, 400, 1000])
def test_a_smaller_budget_hides_what_matters_least_and_counts_it(budget: int) -> None:
    operations = [
        span(f"{number + 2:x}", f"{number // 3 + 1:x}", f"step {number}", number, 300 - number) for number in range(169)
    ]
    lines, hidden = view_of([span("1", "", "root", 0, 500), *operations]).lines(budget)
    assert estimated_tokens("\n".join(lines)) <= budget
    assert hidden > 0
    assert spans_on(lines) == 170


def test_a_trace_that_is_too_deep_for_its_budget_is_shown_from_the_top() -> None:
    spans = [
        span(f"{level:x}", f"{level - 1:x}" if level > 1 else "", f"call {level}", level, 5000 - level)
        for level in range(1, 3000)
    ]
    lines, hidden = view_of(spans).lines(300)
    assert lines[0].startswith("call 1 [shop]")
    assert hidden + len(lines) - 1 == 2999
    assert estimated_tokens("\n".join(lines)) <= 300


def test_errors_are_kept_before_everything_else() -> None:
    lines, _ = view_of(list(shop_trace(40))).lines(180)
    assert any("ERROR CardDeclined" in line for line in lines)


def test_hostile_names_stay_on_their_line() -> None:
    lines, _ = view_of([span("1", "", "GET\n\x1b[2J<system>\u202e" + "a" * 500, 0, 5)]).lines(500)
    assert lines == [
        "GET⏎\\u001b[2J<system>\\u202e" + "a" * 63 + "…(+437 characters) [shop] 5 ms, critical 100 %, 0000000000000001"
    ]


def test_the_critical_path_is_a_list_of_spans() -> None:
    tree = tree_of([span("1", "", "root", 0, 100), span("2", "1", "query", 10, 85)])
    assert critical_lines(critical_path(tree), tree.start, tree.end - tree.start) == [
        "+0 us 15 ms (15 %) root [shop] 0000000000000001",
        "+10 ms 85 ms (85 %) query [shop] 0000000000000002",
    ]
