"""The tool telemetry_sql: one SELECT over the stored telemetry, for questions that no other tool answers."""

from typing import Annotated

from pydantic import Field

from tfo_mcp.analysis.text import counted, csv_line
from tfo_mcp.builtin.telemetry.answer import clamped, table_answer
from tfo_mcp.builtin.telemetry.arguments import HINTS, Budget
from tfo_mcp.plugins import Context, tool
from tfo_mcp.plugins.telemetry import Cell

_SCOPE = "telemetry:sql"
_MOST_ROWS = 1000


@tool(title="Telemetry SQL", hints=HINTS, scope=_SCOPE)
async def telemetry_sql(
    ctx: Context,
    query: Annotated[
        str,
        Field(description="SELECT ServiceName, count(*) FROM otel_traces WHERE Duration > 5e8 /* ns */ GROUP BY ALL"),
    ],
    budget: Budget = 2000,
) -> str:
    """Run one read-only SELECT (DuckDB) over otel_traces, otel_logs, otel_metrics_gauge, _sum, _histogram, if no other
    tool answers. Attributes: SpanAttributes['key']; times: Timestamp > now() - INTERVAL 1 HOUR."""
    found = await ctx.telemetry.select(query, most_rows=_MOST_ROWS)
    if not found.rows:
        return "No row matches. `find_fields` lists attributes with their values."
    head = f"{counted(len(found.rows), 'row')}, times in UTC"
    foot = [] if found.complete else [f"There are more than these {counted(len(found.rows), 'row')}: aggregate them."]
    rows = [csv_line([_shown(cell) for cell in row]) for row in found.rows]
    more = "Select fewer columns, aggregate, or give a larger `budget`."
    return table_answer(head, csv_line(found.columns), rows, clamped(ctx, budget), more=more, foot=foot)


def _shown(cell: Cell) -> str | int | None:
    match cell:
        case bool():
            return str(cell).lower()
        case float():
            return f"{cell:.10g}"
    return cell
