"""Answers of the telemetry tools: the server's own lines, with foreign text between them fenced and within a budget."""

from collections.abc import Iterable, Sequence

from tfo_mcp.analysis.text import counted, fenced, safe
from tfo_mcp.analysis.times import show_duration
from tfo_mcp.analysis.tokens import cut_to_budget, estimated_tokens
from tfo_mcp.plugins import Context
from tfo_mcp.plugins.telemetry import FieldSummary

_SMALLEST, _LARGEST = 300, 20_000
_BYTES_PER_TOKEN = 4
_VALUE_LIMIT = 40
_RESERVE = 70
"""Tokens kept for the fence, and for the line that says what was cut."""


def clamped(ctx: Context, budget: int) -> int:
    """Return a budget that an answer can keep to, and that the server's limit on results allows."""
    return max(_SMALLEST, min(budget, _LARGEST, ctx.max_result_bytes // _BYTES_PER_TOKEN))


def table_answer(
    head: str, header: str, rows: Sequence[str], budget: int, *, more: str, foot: Iterable[str] = ()
) -> str:
    """Return a table within a budget.

    Args:
        head: the first line: what was looked at.
        header, rows: lines of CSV.
        more: says how to see the rows that were cut.
        foot: further lines of the server.
    """
    last = list(foot)
    cut = cut_to_budget(rows, left_of(budget, head, header, *last))
    if cut.omitted:
        last.append(f"Cut: {counted(cut.omitted, 'row')} more. {more}")
    return "\n".join([head, *fenced([header, *cut.lines]), *last])


def left_of(budget: int, *lines: str) -> int:
    """Return the tokens that are left of a budget beside lines of the server."""
    return budget - _RESERVE - estimated_tokens("\n".join(lines))


def value_text(field: FieldSummary, value: str) -> str:
    """Return a value of a field on one line; the durations of spans with their unit."""
    if field.name == "duration" and field.place is None:
        return show_duration(float(value))
    return safe(value, _VALUE_LIMIT)


def text_answer(head: Iterable[str], body: Sequence[str], foot: Iterable[str] = ()) -> str:
    """Return an answer of lines that were cut to a budget before."""
    return "\n".join([*head, *(fenced(body) if body else []), *foot])
