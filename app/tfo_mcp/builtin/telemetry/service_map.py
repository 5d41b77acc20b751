"""The tool service_map: calls between services with rates, errors, latencies, and time between client and server."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tfo_mcp.analysis.text import counted, csv_line, share
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.arguments import DEFAULT_FROM, DEFAULT_TO, HINTS, SCOPE, Budget, From, To
from tfo_mcp.builtin.telemetry.question import resolve
from tfo_mcp.plugins import Context, tool
from tfo_mcp.plugins.telemetry import ServiceEdge, Signal

_HEADER = "caller,callee,calls/min,errors,caller p95 ms,callee p95 ms,between ms"


@tool(title="Map of services", hints=HINTS, scope=SCOPE)
async def service_map(
    ctx: Context,
    around: Annotated[str, Field(description="Service")] = "",
    depth: Annotated[int, Field(ge=1, le=10)] = 1,
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    budget: Budget = 1000,
) -> str:
    """Show calls between services, databases and queues: rate, errors, p95, time between client and server."""
    question = await resolve(ctx, from_, to, budget)
    edges = await question.store.edges(question.window)
    near = _near(edges, around, depth) if around else edges
    if not near:
        return _nothing(edges, around) or await explain_absence(question, Signal.TRACES)
    head = f"{question.range}: {counted(len(near), 'edge')}; * has no spans of its own"
    rows = [_row(edge, question.window.seconds / 60) for edge in near]
    return table_answer(head, _HEADER, rows, question.budget, more="Give `around`.")


def _near(edges: Sequence[ServiceEdge], around: str, depth: int) -> Sequence[ServiceEdge]:
    reached = {around}
    for _ in range(depth):
        near = [edge for edge in edges if edge.caller in reached or edge.callee in reached]
        reached |= {name for edge in near for name in (edge.caller, edge.callee)}
    return near


def _nothing(edges: Sequence[ServiceEdge], around: str) -> str:
    names = sorted({name for edge in edges for name in (edge.caller, edge.callee)})
    if not names:
        return ""
    return table_answer(
        f"No call from or to {around}. Calls exist between:",
        "service",
        [csv_line((name,)) for name in names],
        800,
        more="",
    )


def _row(edge: ServiceEdge, minutes: float) -> str:
    callee = edge.callee if edge.callee_seen else f"{edge.callee} *"
    callee_p95 = None if edge.callee_p95 is None else edge.callee_p95 / 1e6
    overhead = None if edge.overhead is None else edge.overhead / 1e6
    rate, errors = edge.calls / minutes, share(edge.errors, edge.calls)
    return csv_line((edge.caller, callee, rate, errors, edge.caller_p95 / 1e6, callee_p95, overhead))
