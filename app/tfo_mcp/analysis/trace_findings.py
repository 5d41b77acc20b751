"""Findings in a trace: repeated calls (N+1), gaps without instrumented work, and faults of the recording.

The thresholds keep findings rare: a finding is something to look at first, not a statistic.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tfo_mcp.analysis.masks import masked
from tfo_mcp.analysis.text import counted, safe, share
from tfo_mcp.analysis.times import show_duration
from tfo_mcp.analysis.traces import SpanNode, TraceTree
from tfo_mcp.value_objects import value_object

_FEWEST_REPEATS = 5
_SMALLEST_SHARE = 0.05  # of the trace's duration, for repeated calls
_SMALLEST_GAP = 0.15  # of the trace's duration
_MOST_OF_A_KIND = 3
_OVERLAP = 1.2  # calls one after the other take hardly less time together than from the first to the last
_STATEMENT_LIMIT = 300
_STATEMENTS = ("db.query.text", "db.statement", "url.full", "http.url")
_CALLS = ("db.system", "db.system.name", "rpc.system", "http.request.method", "http.method", "messaging.system")


@value_object
class _Gap:
    node: SpanNode
    start: int
    end: int
    before: str
    after: str


def findings_of(tree: TraceTree) -> list[str]:
    """Return sentences about the trace, the most important first."""
    return [*_repeats(tree), *_gaps(tree), *_faults(tree)]


def _repeats(tree: TraceTree) -> Iterator[str]:
    whole = max(1, tree.end - tree.start)
    found: list[tuple[int, str]] = []
    for node in tree:
        for calls in _calls_by_statement(node).values():
            total = sum(call.span.duration for call in calls)
            extent = max(call.span.end for call in calls) - min(call.span.start for call in calls)
            if len(calls) < _FEWEST_REPEATS or extent < whole * _SMALLEST_SHARE:
                continue
            span = calls[0].span
            kind = "N+1" if total <= extent * _OVERLAP else "Fan-out"
            manner = "one after the other" if kind == "N+1" else "overlapping"
            text = f"{kind}: {len(calls)} calls {manner} of {safe(span.name)} below {safe(node.span.name)} "
            text += f"({safe(node.span.service)}, span {node.span.span_id}): {show_duration(extent)}, "
            text += f"{share(extent, whole)} of the trace{_statement(calls)}"
            found.append((extent, text))
    yield from (text for _, text in sorted(found, reverse=True)[:_MOST_OF_A_KIND])


def _calls_by_statement(node: SpanNode) -> Mapping[tuple[str, str], Sequence[SpanNode]]:
    groups: dict[tuple[str, str], list[SpanNode]] = defaultdict(list)
    if len(node.children) >= _FEWEST_REPEATS:
        for child in node.children:
            span = child.span
            if span.kind in ("client", "producer") or any(key in span.attributes for key in _CALLS):
                groups[span.name, _masked_statement(child)].append(child)
    return groups


def _masked_statement(node: SpanNode) -> str:
    attributes = node.span.attributes
    return next((masked(str(attributes[key]), _STATEMENT_LIMIT) for key in _STATEMENTS if key in attributes), "")


def _statement(calls: Sequence[SpanNode]) -> str:
    statement = _masked_statement(calls[0])
    return f": {safe(statement)}" if statement else ""


def _gaps(tree: TraceTree) -> Iterator[str]:
    whole = max(1, tree.end - tree.start)
    gaps = [gap for node in tree for gap in _gaps_in(node) if gap.end - gap.start >= whole * _SMALLEST_GAP]
    for gap in sorted(gaps, key=lambda gap: gap.start - gap.end)[:_MOST_OF_A_KIND]:
        length = gap.end - gap.start
        yield (
            f"Gap: {show_duration(length)} ({share(length, whole)} of the trace) in {safe(gap.node.span.name)} "
            f"({safe(gap.node.span.service)}, span {gap.node.span.span_id}) between {gap.before} and {gap.after} "
            "without a child span"
        )


def _gaps_in(node: SpanNode) -> Iterator[_Gap]:
    """Yield the periods of a span with children in which no child ran."""
    if not node.children:
        return
    until, before = node.span.start, "its start"
    for child in node.children:
        if child.span.start > until:
            yield _Gap(node, until, min(child.span.start, node.span.end), before, safe(child.span.name))
        if child.span.end > until:
            until, before = child.span.end, safe(child.span.name)
    if node.span.end > until:
        yield _Gap(node, until, node.span.end, before, "its end")


def _faults(tree: TraceTree) -> Iterator[str]:
    if tree.orphans:
        yield f"Incomplete: {counted(tree.orphans, 'span')} without the stored parent, shown as roots"
    if tree.cycles:
        yield f"Broken: {counted(tree.cycles, 'cycle')} of spans that are their own ancestors, cut at the earliest"
    if tree.duplicates:
        yield f"Received again: {counted(tree.duplicates, 'span')}, shown once"
    if tree.skewed:
        yield f"Clock skew: {counted(tree.skewed, 'span')} with a start before that of the parent in another service"
    gaps = [after.span.start - before.span.end for before, after in pairwise(tree.roots)]
    if len(tree.roots) > 1 and not tree.orphans and not tree.cycles and max(gaps) > 0:
        yield f"{len(tree.roots)} roots: the trace has separate parts"
