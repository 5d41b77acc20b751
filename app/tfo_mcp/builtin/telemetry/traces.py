"""The tools search_traces and get_trace."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.folds import folded
from tfo_mcp.analysis.text import counted, csv_line, safe
from tfo_mcp.analysis.times import show_duration, show_time
from tfo_mcp.analysis.tokens import cut_to_budget
from tfo_mcp.analysis.trace_findings import findings_of
from tfo_mcp.analysis.trace_view import TraceView, critical_lines, error_message
from tfo_mcp.analysis.traces import SpanNode, TraceTree, critical_path, tree_of
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import clamped, left_of, text_answer
from tfo_mcp.builtin.telemetry.arguments import (
    DEFAULT_FROM,
    DEFAULT_TO,
    HINTS,
    SCOPE,
    Budget,
    Cursor,
    From,
    To,
    Where,
)
from tfo_mcp.builtin.telemetry.question import Question, decode_page, encode_page, resolve
from tfo_mcp.builtin.telemetry.span_details import span_lines
from tfo_mcp.plugins import Context, ToolError, tool
from tfo_mcp.plugins.telemetry import Signal, StoredTrace, TraceSummary

MOST_SPANS = 5_000
"""Maximum number of spans of a trace that are read: decoding more would hold up the calls of other clients."""
_DIVERSE_FROM = 500
_HEADER = "trace_id,start,ms,spans,errors,root,slowest span,slowest ms"

TraceId = Annotated[str, Field(pattern="^[0-9A-Fa-f]{32}$", description="Trace id")]
SpanId = Annotated[str, Field(pattern="^([0-9A-Fa-f]{16})?$", description="For its subtree, or show=span")]


@tool(title="Search traces", hints=HINTS, scope=SCOPE)
async def search_traces(
    ctx: Context,
    order: Annotated[
        Literal["slowest", "latest", "errors", "diverse"], Field(description="diverse: one per kind of request")
    ] = "slowest",
    limit: Annotated[int, Field(ge=1, le=200)] = 20,
    cursor: Cursor = "",
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    where: Where = "",
    budget: Budget = 1500,
) -> str:
    """List traces that contain a matching span, with duration, errors, root and slowest span."""
    question, offset = decode_page(await resolve(ctx, from_, to, budget, where=where), cursor)
    found = await _found(question, order, limit + 1, offset)
    if not found:
        return "There are no more traces." if offset else await explain_absence(question, Signal.TRACES)
    head = f"{question.range}, {order}:"
    cut = cut_to_budget([_row(trace) for trace in found[:limit]], left_of(question.budget, head, _HEADER) - 30, 1)
    shown = len(cut.lines)
    foot = []
    if shown < len(found):
        where_next = f"cursor={encode_page(question.window, offset + shown)}"
        foot.append(f"Cut: there are more. Next page: the same arguments with {where_next}")
    return text_answer([head], [_HEADER, *cut.lines], foot)


@tool(title="Get a trace", hints=HINTS, scope=SCOPE)
async def get_trace(
    ctx: Context,
    trace_id: TraceId,
    show: Literal["tree", "critical_path", "errors", "span"] = "tree",
    span_id: SpanId = "",
    budget: Budget = 2500,
) -> str:
    """Explain a trace: folded tree with self times and critical path, N+1 calls, gaps, errors; or one span in full."""
    stored = await ctx.telemetry.trace(trace_id.lower(), MOST_SPANS)
    if not stored.spans:
        raise ToolError(f"No trace {trace_id} is stored: it is unknown, or was deleted for its age")
    return await ctx.in_thread(_answer, stored, show, span_id.lower(), clamped(ctx, budget))


def _answer(stored: StoredTrace, show: str, span_id: str, budget: int) -> str:
    tree = tree_of(stored.spans)
    nodes = {node.span.span_id: node for node in tree}
    if span_id and span_id not in nodes:
        raise ToolError(f"The trace has no span {span_id}; get_trace without span_id shows its spans")
    chosen = nodes[span_id] if span_id else None
    if show == "span":
        if chosen is None:
            raise ToolError("show=span needs span_id; show=tree lists the ids")
        return _span_answer(chosen, stored, budget)
    head = _head(tree, stored)
    match show:
        case "critical_path":
            return _path_answer(head, tree, budget)
        case "errors":
            return _list_answer(head, _error_lines(tree), budget)
        case _:
            return _tree_answer(head, tree, chosen, stored, budget)


async def _found(question: Question, order: str, limit: int, offset: int) -> Sequence[TraceSummary]:
    match order:
        case "slowest" | "latest" | "errors":
            return await question.store.traces(question.selection, order=order, limit=limit, offset=offset)
        case _:
            latest = await question.store.traces(question.selection, order="latest", limit=_DIVERSE_FROM)
            return _diverse(latest)[offset : offset + limit]


def _diverse(traces: Sequence[TraceSummary]) -> Sequence[TraceSummary]:
    """Return the slowest trace per root operation, with and without errors; then the next ones of each kind."""
    kinds: dict[tuple[tuple[str, str], bool], list[TraceSummary]] = {}
    for trace in sorted(traces, key=lambda trace: -trace.duration):
        kinds.setdefault((trace.root, trace.errors > 0), []).append(trace)
    rounds = max(map(len, kinds.values()), default=0)
    return [kind[place] for place in range(rounds) for kind in kinds.values() if place < len(kind)]


def _row(trace: TraceSummary) -> str:
    names = [": ".join(filter(None, pair)) for pair in (trace.root, trace.slowest)]
    times = show_time(trace.start), trace.duration / 1e6
    return csv_line((trace.trace_id, *times, trace.spans, trace.errors, *names, trace.slowest_duration / 1e6))


def _length(tree: TraceTree) -> int:
    return tree.end - tree.start


def _head(tree: TraceTree, stored: StoredTrace) -> str:
    services = len({node.span.service for node in tree})
    errors = sum(node.span.status == "error" for node in tree)
    head = (
        f"Trace {stored.spans[0].trace_id}: {show_time(tree.start)}, {show_duration(_length(tree))}, "
        f"{counted(stored.total, 'span')}, {counted(services, 'service')}, {counted(errors, 'error')}, "
        f"{counted(sum(stored.logs.values()), 'log')}"
    )
    left_out = stored.total - len(stored.spans)
    return f"{head}. Only the earliest {len(stored.spans)} are analysed." if left_out > 0 else head


def _tree_answer(head: str, tree: TraceTree, chosen: SpanNode | None, stored: StoredTrace, budget: int) -> str:
    roots = tree.roots if chosen is None else [chosen]
    findings = findings_of(tree) if chosen is None else []
    shown = cut_to_budget(findings, budget / 3)
    view = TraceView(folded(roots), tree.start, _length(tree), stored.logs)
    lines, hidden = view.lines(left_of(budget, head, *shown.lines) * 0.93)
    foot = []
    if hidden:
        foot.append(f"Cut: {counted(hidden, 'span')} only counted (…). Give span_id of the line above for its subtree.")
    if shown.omitted:
        foot.append(f"Cut: {counted(shown.omitted, 'finding')} more. Give a larger budget.")
    return text_answer([head], [*shown.lines, *lines], foot)


def _list_answer(head: str, lines: Sequence[str], budget: int) -> str:
    if not lines:
        return f"{head}\nNone."
    cut = cut_to_budget(lines, left_of(budget, head))
    foot = [f"Cut: {counted(cut.omitted, 'line')} more. Give a larger budget."] if cut.omitted else []
    return text_answer([head], cut.lines, foot)


def _path_answer(head: str, tree: TraceTree, budget: int) -> str:
    """Return the critical path in the order of time; the spans with the least time on it are cut first."""
    path = critical_path(tree)
    ranked = sorted(path, key=lambda node: -node.critical_time)
    fit = len(cut_to_budget(critical_lines(ranked, tree.start, _length(tree)), left_of(budget, head)).lines)
    chosen = {id(node) for node in ranked[:fit]}
    lines = critical_lines([node for node in path if id(node) in chosen], tree.start, _length(tree))
    rest = sum(node.critical_time for node in ranked[fit:])
    cut = f"Cut: {counted(len(ranked) - fit, 'span')} with {show_duration(rest)} in all. Give a larger budget."
    return text_answer([head, "offset, time on the path, span:"], lines, [cut] if fit < len(ranked) else [])


def _error_lines(tree: TraceTree) -> list[str]:
    """Return the spans with errors; the deepest ones, in which errors begin, first."""
    failed = [node for node in tree if node.span.status == "error"]
    causes = [node for node in failed if not any(child.span.status == "error" for child in node.children)]
    others = [node for node in failed if node not in causes]
    return [_error_line(node, "cause") for node in causes] + [_error_line(node, "passed on") for node in others]


def _error_line(node: SpanNode, role: str) -> str:
    span = node.span
    message = safe(error_message(span), 400) or "no message"
    return f"{role}: {safe(span.name)} [{safe(span.service)}] {show_duration(span.duration)}: {message}, {span.span_id}"


def _span_answer(node: SpanNode, stored: StoredTrace, budget: int) -> str:
    head = f"Span {node.span.span_id} of trace {node.span.trace_id}:"
    lines = span_lines(node, stored.logs.get(node.span.span_id, 0))
    cut = cut_to_budget(lines, left_of(budget, head))
    foot = [f"Cut: {counted(cut.omitted, 'line')} more. Give a larger budget."] if cut.omitted else []
    return text_answer([head], cut.lines, foot)
