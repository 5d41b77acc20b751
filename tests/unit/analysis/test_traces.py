"""Trees of traces: self times, the critical path, and traces with faults."""

import sys
from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.telemetry_records import MS, shop_trace, span
from tfo_mcp.analysis.folds import all_groups, folded
from tfo_mcp.analysis.trace_findings import findings_of
from tfo_mcp.analysis.traces import TraceTree, critical_path, tree_of


def self_times(tree: TraceTree) -> Mapping[str, float]:
    return {node.span.name: node.self_time / MS for node in tree}


def critical_times(tree: TraceTree) -> Mapping[str, float]:
    return {node.span.name: node.critical_time / MS for node in critical_path(tree)}


def test_self_time_excludes_the_time_in_which_any_child_runs() -> None:
    tree = tree_of(
        [
            span("1", "", "root", 0, 100),
            span("2", "1", "a", 10, 30),
            span("3", "1", "b", 20, 40),  # overlaps a
            span("4", "1", "late", 90, 50),  # ends after its parent
        ]
    )
    assert self_times(tree) == {"root": 40, "a": 30, "b": 40, "late": 50}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    tree = tree_of(
        [
            span("1", "", "root", 0, 100),
            span("2", "1", "short", 10, 20),  # beside long, never waited for
            span("3", "1", "long", 10, 60),
            span("4", "3", "query", 20, 40),
            span("5", "1", "last", 75, 20),
        ]
    )
    assert critical_times(tree) == {"root": 20, "long": 20, "query": 40, "last": 20}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no time is asserted
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100), st.integers(0, 100)), min_size=1)
)
def test_every_span_is_in_the_tree_once_and_critical_times_add_up(rows: list[tuple[int, int, int, int]]) -> None:
    spans = [
        span(f"{own:x}", f"{parent:x}" if parent else "", f"s{own % 3}", start, size)
        for own, parent, start, size in rows
    ]
    tree = tree_of(spans)
    nodes = list(tree)
    assert sorted(node.span.span_id for node in nodes) == sorted({each.span_id for each in spans})
    assert len(nodes) + tree.duplicates == len(spans)
    assert sum(node.critical_time for node in nodes) == sum(root.span.duration for root in tree.roots)
    assert all(0 <= node.self_time <= node.span.duration for node in nodes)
    groups = list(all_groups(tops := folded(tree.roots)))
    assert sum(len(group.members) for group in groups) == len(nodes)
    assert sum(len(top.members) + top.spans_below for top in tops) == len(nodes)


def test_faults_of_a_recording_are_named_and_lose_no_span() -> None:
    tree = tree_of(
        [
            span("1", "", "root", 0, 10),
            span("1", "", "root", 0, 10),  # sent twice
            span("2", "99", "orphan", 1, 2),
            span("3", "4", "cycle", 2, 2),
            span("4", "3", "cycle", 3, 2),
            span("5", "5", "own parent", 4, 2),
            span("6", "1", "early", -5, 2, service="other"),
        ]
    )
    assert len(list(tree)) == 6
    assert findings_of(tree)[-4:] == [
        "Incomplete: 1 span without the stored parent, shown as roots",
        "Broken: 1 cycle of spans that are their own ancestors, cut at the earliest",
        "Received again: 1 span, shown once",
        "Clock skew: 1 span with a start before that of the parent in another service",
    ]


def test_a_trace_may_be_deeper_than_the_stack() -> None:
    depth = 3 * sys.getrecursionlimit()
    tree = tree_of(
        span(f"{level:x}", f"{level - 1:x}" if level > 1 else "", "call", level, 1) for level in range(1, depth)
    )
    assert len(list(all_groups(folded(tree.roots)))) == depth - 1


def test_siblings_of_one_operation_fold_with_their_children_but_errors_stay_apart() -> None:
    tops = folded(tree_of(shop_trace(40)).roots)
    counts = {(group.service, group.name, group.failed): len(group.members) for group in all_groups(tops)}
    assert counts["orders", "reserve item", False] == counts["stock", "GET /stock/{sku}", False] == 40
    assert counts["payment", "POST /pay", True] == 1
    assert sum(counts.values()) == 170


def test_repeated_calls_are_found_with_their_statement_and_share() -> None:
    found = findings_of(tree_of(shop_trace(40)))
    assert found == [
        "N+1: 40 calls one after the other of SELECT stock below POST /orders (orders, span 0000000000000002): 786 ms, "
        "91 % of the trace: SELECT * FROM stock WHERE sku = <*>"
    ]


def test_parallel_calls_are_a_fan_out_and_few_calls_are_nothing() -> None:
    def calls(count: int) -> list[str]:
        children = [span(f"{number + 2:x}", "1", "GET /a", 1, 97, kind="client") for number in range(count)]
        return findings_of(tree_of([span("1", "", "root", 0, 99), *children]))

    assert calls(4) == []
    assert calls(5)[0].startswith(
        "Fan-out: 5 calls overlapping of GET /a below root (shop, span 0000000000000001): 97 ms"
    )


def test_a_gap_is_named_by_what_ran_before_and_after_it() -> None:
    found = findings_of(
        tree_of([span("1", "", "root", 0, 100), span("2", "1", "a", 0, 10), span("3", "1", "b", 60, 38)])
    )
    assert found == [
        "Gap: 50 ms (50 % of the trace) in root (shop, span 0000000000000001) between a and b without a child span"
    ]
