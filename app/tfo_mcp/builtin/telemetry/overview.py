"""The tool telemetry_overview: services with their rates, errors by fingerprint, and error budgets."""

import time
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.fingerprints import ErrorGroup, grouped_errors
from tfo_mcp.analysis.text import counted, csv_line, fenced, number, share
from tfo_mcp.analysis.times import show_time
from tfo_mcp.analysis.tokens import cut_to_budget, estimated_tokens
from tfo_mcp.builtin.telemetry.answer import left_of, table_answer, text_answer
from tfo_mcp.builtin.telemetry.arguments import DEFAULT_FROM, DEFAULT_TO, HINTS, SCOPE, Budget, From, Service, To
from tfo_mcp.builtin.telemetry.objectives import burn_table, burning_lines, burns_of, objectives_of, recent_part
from tfo_mcp.builtin.telemetry.question import Question, ago, resolve
from tfo_mcp.builtin.telemetry.setup_lines import setup_lines
from tfo_mcp.plugins import Context, tool
from tfo_mcp.plugins.telemetry import ServiceSummary, StoreStatus, Window

_MOST_ERROR_SHAPES = 500
_OBJECTIVE = 0.999
_SERVICES_HEADER = "service,requests/min,errors,p50 ms,p95 ms,versions,last seen,spans,logs,error logs"
_ERRORS_HEADER = "fingerprint,count,service,error,operations,first,last,trace_id"


@tool(title="Telemetry overview", hints=HINTS, scope=SCOPE)
async def telemetry_overview(
    ctx: Context,
    focus: Annotated[Literal["all", "errors", "slo"], Field(description="slo: burn rates of error budgets")] = "all",
    service: Service = "",
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    budget: Budget = 800,
) -> str:
    """Start here: services with rates, errors and latency; errors by fingerprint; how to send data if there is none."""
    status = await ctx.telemetry.status()
    if status.earliest is None:
        return "\n".join(["No telemetry is stored yet.", *setup_lines(status), *status.notices])
    question = await resolve(ctx, from_, to, budget, service=service)
    services = sorted(
        (each for each in await question.store.services(question.window) if service in ("", each.name)),
        key=lambda each: (-each.errors - each.error_logs, -each.requests),
    )
    if not services:
        return await _nothing(question, status, service)
    objectives = objectives_of(ctx, service)
    if focus == "slo":
        return (
            burn_table(question, await burns_of(question, objectives)) if objectives else await _slo(question, services)
        )
    shapes = await question.store.error_shapes(question.selection, limit=_MOST_ERROR_SHAPES)
    groups = await ctx.in_thread(grouped_errors, shapes)
    if focus == "errors":
        head = f"{question.range}: {_total(groups)}"
        return table_answer(
            head, _ERRORS_HEADER, _error_rows(groups), question.budget, more="Narrow the period or the service."
        )
    notices = [*burning_lines(await burns_of(question, objectives)), *_notices(ctx, services, status)]
    return _everything(question, services, groups, notices)


def _notices(ctx: Context, services: Sequence[ServiceSummary], status: StoreStatus) -> Sequence[str]:
    """Return the sentences of the store, after how to send if only this server has sent anything."""
    own = ctx.configuration()["telemetry"]["service_name"]
    if any(each.name != own for each in services):
        return status.notices
    return ["Only this server's own telemetry is here. To add that of programs:", *setup_lines(status), *status.notices]


def _everything(
    question: Question, services: Sequence[ServiceSummary], groups: Sequence[ErrorGroup], notices: Sequence[str]
) -> str:
    head = f"{question.range}: {counted(len(services), 'service')}, {_total(groups)}"
    left = left_of(question.budget, head, _SERVICES_HEADER, _ERRORS_HEADER, *notices)
    now = time.time_ns()
    rows = [_service_row(each, question.window, now) for each in services]
    listed = cut_to_budget(rows, left * 0.6 if groups else left)
    errors = cut_to_budget(_error_rows(groups), left - estimated_tokens("\n".join(listed.lines)))
    foot = [
        *([f"Cut: {counted(listed.omitted, 'service')} more. Give `service` or `budget`."] if listed.omitted else []),
        *([f"Cut: {counted(errors.omitted, 'error')} more. Use focus=errors."] if errors.omitted else []),
        *notices,
    ]
    body = [_SERVICES_HEADER, *listed.lines, *([_ERRORS_HEADER, *errors.lines] if groups else [])]
    return text_answer([head], body, foot)


async def _slo(question: Question, services: Sequence[ServiceSummary]) -> str:
    window = question.window
    recent = recent_part(window)
    late = {each.name: each for each in await question.store.services(recent)}
    rows = [
        csv_line(
            (each.name, each.requests, each.errors, _burn(each), _burn(late[each.name]) if each.name in late else "")
        )
        for each in sorted(services, key=lambda each: -each.errors / max(1, each.requests))
    ]
    head = f"{question.range}: burn rate of a {_OBJECTIVE:.1%} objective; above 1 the error budget is overspent"
    header = f"service,requests,errors,burn,burn since {show_time(recent.start)}"
    return table_answer(head, header, rows, question.budget, more="Give `service` or a larger `budget`.")


def _burn(service: ServiceSummary) -> str:
    return number(service.errors / service.requests / (1 - _OBJECTIVE)) if service.requests else ""


def _total(groups: Sequence[ErrorGroup]) -> str:
    errors = sum(group.count for group in groups)
    return f"{counted(errors, 'span')} with errors of {counted(len(groups), 'kind')}" if errors else "no errors"


def _service_row(each: ServiceSummary, window: Window, now: int) -> str:
    return csv_line(
        (
            *(each.name, each.requests / window.seconds * 60, share(each.errors, each.requests)),
            *(_ms(each.p50), _ms(each.p95), " ".join(each.versions[:2])),
            *(ago(each.last, now), each.spans, each.logs, each.error_logs),
        )
    )


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _error_rows(groups: Sequence[ErrorGroup]) -> list[str]:
    return [
        csv_line(
            (
                *(group.fingerprint, group.count, group.service),
                ": ".join(filter(None, (group.exception_type, group.message))) or group.frame,
                " | ".join(group.operations[:2]) + (" | …" if len(group.operations) > 2 else ""),
                *(show_time(group.first), show_time(group.last), group.trace_id),
            )
        )
        for group in groups
    ]


async def _nothing(question: Question, status: StoreStatus, service: str) -> str:
    earliest, latest = show_time(status.earliest or 0), show_time(status.latest or 0)
    known = await question.store.services(Window(status.earliest or 0, (status.latest or 0) + 1))
    names = [csv_line((each.name, show_time(each.first), show_time(each.last))) for each in known]
    what = "This service sent nothing" if service and any(each.name == service for each in known) else "Nothing"
    head = f"{what} in {question.range}. The store has records of {earliest} to {latest}:"
    cut = cut_to_budget(names, left_of(question.budget, head))
    foot = [f"Cut: {counted(cut.omitted, 'service')} more."] if cut.omitted else []
    return "\n".join([head, *fenced(["service,first,last", *cut.lines]), *foot, *status.notices])
