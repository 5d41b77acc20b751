"""The tool find_fields: the attributes of spans and log records with their values, and the metrics."""

import json
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.text import counted, csv_line, share
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import table_answer, value_text
from tfo_mcp.builtin.telemetry.arguments import (
    DEFAULT_FROM,
    DEFAULT_TO,
    HINTS,
    SCOPE,
    Budget,
    From,
    Service,
    To,
    Where,
)
from tfo_mcp.builtin.telemetry.question import Question, resolve
from tfo_mcp.plugins import Context, tool
from tfo_mcp.plugins.telemetry import FieldSummary, Signal

_MOST = 500
_MORE = "Give a part of the name in `about`."


@tool(title="Find telemetry fields", hints=HINTS, scope=SCOPE)
async def find_fields(
    ctx: Context,
    about: Annotated[str, Field(description="Part of the name")] = "",
    signal: Literal["traces", "logs", "metrics"] = "traces",
    service: Service = "",
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    where: Where = "",
    budget: Budget = 800,
) -> str:
    """Find fields of spans or logs with their values; or metrics with types and units."""
    question = await resolve(ctx, from_, to, budget, where=where, service=service)
    if signal == "metrics":
        return await _metrics(question, about)
    kind = Signal(signal)
    found = await question.store.fields(kind, question.selection, about=about or None, values=4, limit=_MOST)
    if not found.records:
        return await explain_absence(question, kind)
    if not found.fields:
        return f"{question.range}: no field has {json.dumps(about)} in its name, of those in {found.records} records."
    columns = {field.name for field in found.fields if field.place is None}
    shown = [field for field in found.fields if field.place is None or field.name not in columns]
    rows = [_field_row(field, found.records) for field in shown]
    head = f"{question.range}: {counted(len(rows), 'field')} in {counted(found.records, 'record')}"
    return table_answer(head, "field,of,type,coverage,values,commonest", rows, question.budget, more=_MORE)


async def _metrics(question: Question, about: str) -> str:
    found = await question.store.metrics(question.selection, about=about or None, limit=_MOST)
    if not found:
        return await explain_absence(question, Signal.METRICS)
    rows = [
        csv_line(
            (
                *(each.name, each.kind, each.unit, each.temporality, "yes" if each.monotonic else "no"),
                *(
                    each.points,
                    " ".join(each.services[:4]) + (" …" if len(each.services) > 4 else ""),
                    each.description,
                ),
            )
        )
        for each in found
    ]
    head = f"{question.range}: {counted(len(rows), 'metric')}"
    header = "metric,type,unit,temporality,monotonic,points,services,description"
    return table_answer(head, header, rows, question.budget, more=_MORE)


def _field_row(field: FieldSummary, records: int) -> str:
    commonest = " | ".join(
        f"{value_text(field, value)} ({share(count, field.records)})" for value, count in field.values
    )
    kind = "number" if field.numeric else "text"
    return csv_line(
        (field.name, field.place or "column", kind, share(field.records, records), field.distinct, commonest)
    )
