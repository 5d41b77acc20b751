"""Explains empty results: what the store has instead, unknown fields with their nearest names, and commonest values."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from tfo_mcp.analysis.filters import fields_of
from tfo_mcp.analysis.text import counted, fenced, safe
from tfo_mcp.analysis.times import show_window
from tfo_mcp.builtin.telemetry.answer import value_text
from tfo_mcp.builtin.telemetry.question import Question
from tfo_mcp.plugins.telemetry import COLUMNS, FieldName, FieldSummary, Selection, Signal, Window

_MOST_FIELDS = 500
_MOST_DISTINCT = 500
_NOUNS = {Signal.TRACES: "span", Signal.LOGS: "log record", Signal.METRICS: "metric point"}


async def explain_absence(question: Question, signal: Signal) -> str:
    """Return why a question has no result."""
    status = await question.store.status()
    stored = {Signal.TRACES: status.spans, Signal.LOGS: status.logs, Signal.METRICS: status.points}[signal]
    noun = _NOUNS[signal]
    if not stored or status.earliest is None or status.latest is None:
        return f"No {noun}s are stored yet. `telemetry_overview` says how programs send them."
    found = await question.store.fields(signal, Selection(question.window), about=None, values=3, limit=_MOST_FIELDS)
    head = f"No {noun} matches in {show_window(question.window)}."
    if not found.records:
        period = Window(status.earliest, status.latest)
        return f"{head} The period is empty; the store has {counted(stored, noun)}, of {show_window(period)}."
    if question.where is None:
        return f"{head} The period has {counted(found.records, noun)}."
    lines = [_known_or_not(field, found.fields, signal) for field in dict.fromkeys(fields_of(question.where))]
    return "\n".join([f"{head} Without the filter there are {found.records}.", *fenced(list(filter(None, lines)))])


async def unknown_fields(question: Question, fields: Iterable[FieldName], signal: Signal) -> str | None:
    """Return a sentence per field that no record of the window has, None if all are known."""
    asked = [field for field in fields if field.place is not None or field.name not in COLUMNS[signal]]
    if not asked:
        return None
    found = await question.store.fields(signal, Selection(question.window), about=None, values=3, limit=_MOST_FIELDS)
    unknown = [field for field in asked if not any(_is_same(field, known) for known in found.fields)]
    lines = [_known_or_not(field, found.fields, signal) for field in unknown]
    return "\n".join(fenced(lines)) if lines else None


def _known_or_not(field: FieldName, known: Sequence[FieldSummary], signal: Signal) -> str:
    own = [summary for summary in known if _is_same(field, summary)]
    if own:
        return f"{safe(field.name)} has {_values(own[0])}"
    if field.name in COLUMNS[signal]:
        return ""
    names = {summary.name: summary for summary in known}
    last = field.name.rpartition(".")[2]
    near = [name for name in names if last in name.split(".")] + get_close_matches(field.name, names, 3, 0.5)
    shown = "; ".join(f"{safe(name)}: {_values(names[name])}" for name in list(dict.fromkeys(near))[:3])
    return f"{safe(field.name)} is unknown here. {f'Nearest: {shown}' if shown else '`find_fields` lists the fields.'}"


def _is_same(field: FieldName, summary: FieldSummary) -> bool:
    return field.name == summary.name and field.place in (None, summary.place)


def _values(summary: FieldSummary) -> str:
    """Return the commonest values with their counts; of a field that hardly repeats, the number of values."""
    if summary.distinct > _MOST_DISTINCT:
        return f"{summary.distinct} values"
    shown = ", ".join(f"{value_text(summary, value)} ({count})" for value, count in summary.values)
    return f"the values {shown}" if shown else "no values"
