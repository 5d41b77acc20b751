"""The tool search_logs: patterns of log records, or their lines, in a period or around a trace."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.filters import SEVERITIES, severity_at_least
from tfo_mcp.analysis.log_patterns import LogPattern, LogPatterns, patterns_of
from tfo_mcp.analysis.text import counted, csv_line, share
from tfo_mcp.analysis.times import show_within
from tfo_mcp.analysis.tokens import cut_to_budget
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import left_of, text_answer
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
from tfo_mcp.builtin.telemetry.question import Question, both, decode_page, encode_page, resolve
from tfo_mcp.plugins import Context, ToolError, tool
from tfo_mcp.plugins.telemetry import (
    AllOf,
    AnyOf,
    Comparison,
    FieldName,
    LogRecord,
    LogShape,
    Predicate,
    Selection,
    Signal,
    Window,
)

_PARTS = 6
_MOST_SHAPES = 3000
_SAMPLE = 500
_MOST_LINES = 500
_MOST_SPANS = 2000  # of a trace, for its services and its time
_MARGIN = 1_000_000_000  # before and after a trace
_BODY_LIMIT = 600
_PATTERN_LIMIT = 150
_PATTERNS_HEADER = "count,severity,trend,new,first,last,services,pattern,telling values,trace_id"
_LINES_HEADER = "time,severity,service,body,trace_id"
_NAMES: Mapping[int, str] = {number: name for name, number in SEVERITIES.items()}


@tool(title="Search logs", hints=HINTS, scope=SCOPE)
async def search_logs(
    ctx: Context,
    text: Annotated[str, Field(description="Regular expression")] = "",
    severity: Annotated[
        Literal["", "trace", "debug", "info", "warn", "error", "fatal"], Field(description="Minimum")
    ] = "",
    show: Annotated[Literal["patterns", "lines"], Field(description="Patterns or single records")] = "patterns",
    trace_id: Annotated[
        str,
        Field(
            pattern="^([0-9A-Fa-f]{32})?$",
            description="Only records of this trace, or of its services without a trace meanwhile",
        ),
    ] = "",
    cursor: Cursor = "",
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    where: Where = "",
    budget: Budget = 1500,
) -> str:
    """Search logs: patterns with counts, trends and novelty, or single lines."""
    conditions: list[Predicate] = [Comparison(FieldName("body"), "~", text)] if text else []
    conditions += [severity_at_least(severity)] if severity else []
    question = await resolve(ctx, from_, to, budget, where=where, also=both(*conditions))
    if trace_id:
        question = await _around(question, trace_id.lower())
    question, offset = decode_page(question, cursor)
    answer = await (_lines(question, offset) if show == "lines" else _patterns(ctx, question))
    return answer or await explain_absence(question, Signal.LOGS)


async def _around(question: Question, trace_id: str) -> Question:
    """Return the question for the records of a trace, and for those without a trace of its services at that time."""
    trace = await question.store.trace(trace_id, _MOST_SPANS)
    own: Predicate = Comparison(FieldName("trace_id"), "=", trace_id)
    if not trace.spans:
        if not trace.logs:
            raise ToolError(f"No trace {trace_id} is stored: it is unknown, or was deleted for its age")
        return Question(question.store, question.window, both(question.where, own), question.budget)
    services = sorted({span.service for span in trace.spans})
    of_services = AnyOf(tuple(Comparison(FieldName("service.name"), "=", name) for name in services))
    untraced = AllOf((of_services, Comparison(FieldName("trace_id"), "=", "")))
    start, end = min(span.start for span in trace.spans), max(span.end for span in trace.spans)
    window = Window(max(0, start - _MARGIN), end + _MARGIN)
    return Question(question.store, window, both(question.where, AnyOf((own, untraced))), question.budget)


async def _lines(question: Question, offset: int) -> str:
    found = await question.store.logs(question.selection, order="latest", limit=_MOST_LINES, offset=offset)
    if not found:
        return "There are no more lines." if offset else ""
    head = f"{question.range}, latest first:"
    cut = cut_to_budget(
        (_line(record, question.window) for record in found), left_of(question.budget, head, _LINES_HEADER) - 30, 1
    )
    foot = []
    if cut.omitted or len(found) == _MOST_LINES:
        cursor = encode_page(question.window, offset + len(cut.lines))
        foot.append(f"Cut: there are more. Next page: the same arguments with cursor={cursor}")
    return text_answer([head], [_LINES_HEADER, *cut.lines], foot)


async def _patterns(ctx: Context, question: Question) -> str:
    shapes = await question.store.log_shapes(question.selection, parts=_PARTS, limit=_MOST_SHAPES)
    if not shapes:
        return ""
    sample = await question.store.logs(question.selection, order="latest", limit=_SAMPLE)
    window = question.window
    before = Selection(Window(max(0, 2 * window.start - window.end), window.start), question.where)
    earlier = await question.store.log_shapes(before, parts=1, limit=_MOST_SHAPES)
    return await ctx.in_thread(_patterns_answer, question, shapes, sample, earlier)


def _patterns_answer(
    question: Question, shapes: Sequence[LogShape], sample: Sequence[LogRecord], before: Sequence[LogShape]
) -> str:
    patterns = patterns_of(shapes)
    for record in sample:
        if (pattern := patterns.match(record.body)) is not None:
            pattern.observe(record.body)
    earlier = patterns_of(before) if before else None
    new = {id(pattern): _is_new(pattern, earlier) for pattern in patterns}
    ranked = sorted(patterns, key=lambda each: (each.severity < SEVERITIES["error"], not new[id(each)], -each.count))
    total = sum(pattern.count for pattern in ranked)
    head = f"{question.range}: {counted(total, 'record')}, {counted(len(ranked), 'pattern')}"
    head += "" if before else "; nothing earlier to compare with"
    lines = (_pattern_line(pattern, question.window, is_new=new[id(pattern)]) for pattern in ranked)
    cut = cut_to_budget(lines, left_of(question.budget, head, _PATTERNS_HEADER))
    foot = []
    if cut.omitted:
        records = counted(sum(pattern.count for pattern in ranked[len(cut.lines) :]), "record")
        foot.append(f"Cut: {counted(cut.omitted, 'pattern')} of {records} more. Give severity, text or where.")
    if len(shapes) == _MOST_SHAPES:
        foot.append(f"Only the {_MOST_SHAPES} commonest shapes of records are counted.")
    return text_answer([head], [_PATTERNS_HEADER, *cut.lines], foot)


def _is_new(pattern: LogPattern, earlier: LogPatterns | None) -> bool:
    return earlier is not None and earlier.match(pattern.example) is None


def _pattern_line(pattern: LogPattern, window: Window, *, is_new: bool) -> str:
    return csv_line(
        (
            *(pattern.count, severity_name(pattern.severity), _trend(pattern, window)),
            "new" if is_new else "",
            *(show_within(pattern.first, window), show_within(pattern.last, window)),
            " ".join(name for name, _ in pattern.services.most_common(3)) + (" …" if len(pattern.services) > 3 else ""),
            pattern.template,
            "; ".join(_telling(number, values) for number, values in pattern.telling_values()),
            next(iter(pattern.trace_ids), "") if pattern.severity >= SEVERITIES["warn"] else "",
        ),
        _PATTERN_LIMIT,
    )


def _trend(pattern: LogPattern, window: Window) -> str:
    trend = pattern.trend()
    if not trend.startswith("burst"):
        return trend
    part = (window.end - window.start) // _PARTS
    return f"burst {show_within(window.start + part * (int(trend.removeprefix('burst ')) - 1), window)}"


def _telling(number: int, values: Sequence[tuple[str, float]]) -> str:
    return f"<{number}> " + " ".join(f"{value[:30]} {share(part, 1)}" for value, part in values)


def _line(record: LogRecord, window: Window) -> str:
    name = severity_name(record.severity) or record.severity_text
    return csv_line(
        (
            show_within(record.time, window, milliseconds=True),
            name,
            record.service,
            record.body or record.event_name,
            record.trace_id,
        ),
        _BODY_LIMIT,
    )


def severity_name(severity: int) -> str:
    """Return the name of a severity number, empty if it is unknown."""
    return _NAMES.get((severity - 1) // 4 * 4 + 1, "")
