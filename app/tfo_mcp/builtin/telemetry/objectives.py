"""Burn rates of the objectives that the setting `telemetry.slos` names, for the overview."""

from collections.abc import Sequence

from tfo_mcp.analysis.objectives import Objective, parse_objective
from tfo_mcp.analysis.text import counted, csv_line, number
from tfo_mcp.analysis.times import show_time
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.question import Question
from tfo_mcp.plugins import Context
from tfo_mcp.plugins.telemetry import Measure, Predicate, Selection, Signal, TelemetryStore, Window
from tfo_mcp.value_objects import value_object

_RECENT = 12
"""The recent period of an error budget is this part of the whole one, as in multi-window burn rate alerts."""
_COUNT = Measure("count")
_MOST_BURNING = 5


@value_object
class Burn:
    """An objective with its requests and burn rates, in the whole period and in its last part."""

    objective: Objective
    requests: float
    bad: float
    rate: float | None
    recent: float | None


def recent_part(window: Window) -> Window:
    """Return the last part of a window, in which a burn rate shows whether the problem goes on."""
    return Window(window.end - (window.end - window.start) // _RECENT, window.end)


def objectives_of(ctx: Context, service: str) -> list[Objective]:
    """Return the configured objectives, of one service unless it is empty."""
    objectives = map(parse_objective, ctx.slos)
    return [each for each in objectives if service in ("", each.service)]


async def burns_of(question: Question, objectives: Sequence[Objective]) -> list[Burn]:
    """Return the burn rates of objectives, the largest first."""
    found = [await _burn(question, objective) for objective in objectives]
    return sorted(found, key=lambda burn: -(burn.rate or 0))


async def _burn(question: Question, objective: Objective) -> Burn:
    store, late = question.store, recent_part(question.window)
    requests = await _count(store, question.window, objective.requests)
    bad = await _count(store, question.window, objective.bad) if requests else 0
    late_requests = await _count(store, late, objective.requests) if requests else 0
    late_bad = await _count(store, late, objective.bad) if late_requests else 0
    rate, recent = objective.burn(bad, requests), objective.burn(late_bad, late_requests)
    return Burn(objective, requests, bad, rate, recent)


async def _count(store: TelemetryStore, window: Window, where: Predicate) -> float:
    found = await store.aggregate(Signal.TRACES, Selection(window, where), [_COUNT])
    return sum(row.values[0] or 0 for row in found.rows)


def burn_table(question: Question, burns: Sequence[Burn]) -> str:
    """Return the answer with all objectives; those without requests are only counted, since callers may not see all."""
    asked = [burn for burn in burns if burn.requests]
    head = f"{question.range}: burn rates of {counted(len(asked), 'objective')}; above 1 the error budget is overspent"
    header = f"service,objective,requests,bad,burn,burn since {show_time(recent_part(question.window).start)}"
    rows = [
        csv_line(
            (
                *(burn.objective.service, burn.objective.title, int(burn.requests), int(burn.bad)),
                *(number(burn.rate), number(burn.recent)),
            )
        )
        for burn in asked
    ]
    others = len(burns) - len(asked)
    foot = [f"Without requests in this period: {counted(others, 'objective')}."] if others else []
    more = "Give `service` or a larger `budget`."
    return table_answer(head, header, rows, question.budget, more=more, foot=foot)


def burning_lines(burns: Sequence[Burn]) -> list[str]:
    """Return a line per objective whose error budget is overspent, or one that says that none is."""
    if not burns:
        return []
    burning = [burn for burn in burns if (burn.rate or 0) > 1]
    if not burning:
        return [f"SLO: {counted(len(burns), 'objective')} met or without requests"]
    lines = [
        f"SLO {burn.objective.service} {burn.objective.title}: burn rate {number(burn.rate)}, "
        f"recently {number(burn.recent) or 'no requests'}"
        for burn in burning[:_MOST_BURNING]
    ]
    others = len(burning) - len(lines)
    return [*lines, *([f"SLO: {counted(others, 'objective')} more overspent: focus=slo"] if others else [])]
