"""Usage of the server itself, from its own spans in the telemetry store, and the resource analytics://summary.

Calls are spans of kind server; requests to language models are the spans with a requested model, which name the tool
and the caller of the call that they belong to. Durations are milliseconds, cost is in US dollars.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from tfo_mcp.analysis.times import show_time
from tfo_mcp.builtin.telemetry.arguments import SCOPE
from tfo_mcp.plugins import Context, TextContents, resource
from tfo_mcp.plugins.telemetry import (
    AllOf,
    Comparison,
    FieldName,
    Measure,
    Presence,
    Selection,
    Signal,
    TelemetryStore,
    Window,
)

_DAY = 24 * 3600 * 1_000_000_000
_SECOND = 1_000_000_000
_PARTS = 24
_MOST_GROUPS = 20
_OTHERS = "(others)"
_TOOL, _METHOD, _CALLER = FieldName("gen_ai.tool.name"), FieldName("mcp.method.name"), FieldName("enduser.id")
_MODEL = FieldName("gen_ai.request.model")
_TOOL_OF_REQUEST = FieldName("tfo_mcp.tool.name")
_DURATION = FieldName("duration")
_CALL = Comparison(FieldName("kind"), "=", "server")
_CALL_MEASURES = (Measure("count"), Measure("errors"), *(Measure(each, _DURATION) for each in ("p50", "p95", "p99")))
_MODEL_MEASURES = (
    *(Measure("count"), Measure("errors"), Measure("p50", _DURATION), Measure("p95", _DURATION)),
    Measure("sum", FieldName("gen_ai.usage.input_tokens")),
    Measure("sum", FieldName("gen_ai.usage.output_tokens")),
    Measure("sum", FieldName("tfo_mcp.claude.cost")),
)


@resource("analytics://summary", title="Usage of this server", mime_type="application/json", scope=SCOPE)
async def summary(ctx: Context) -> TextContents:
    """Calls, errors, latency, tokens and cost of this server in 24 hours: by tool, method, caller, model and hour."""
    now = time.time_ns()
    own = ctx.configuration()["telemetry"]["service_name"]
    found = await usage_report(ctx.telemetry, own, Window(now - _DAY, now))
    return TextContents("analytics://summary", to_json(found).decode(), "application/json")


async def usage_report(store: TelemetryStore, service: str, window: Window) -> dict[str, Any]:
    """Return the usage of a server by its service name, as JSON values."""
    every = max(_SECOND, -(-(window.end - window.start) // _PARTS // _SECOND) * _SECOND)
    total = await _calls(store, service, window, None)
    return {
        "service": service,
        "from": show_time(window.start),
        "to": show_time(window.end),
        "total": total[0] if total else _call_figures((0, 0, None, None, None)),
        "tools": await _calls_and_requests(store, service, window, _TOOL, _TOOL_OF_REQUEST),
        "methods": await _calls(store, service, window, _METHOD),
        "callers": await _calls_and_requests(store, service, window, _CALLER, _CALLER),
        "models": await _models(store, service, window, _MODEL),
        "times": await _times(store, service, window, every),
        "seconds_per_time": every // _SECOND,
    }


async def _calls(
    store: TelemetryStore, service: str, window: Window, by: FieldName | None
) -> Sequence[Mapping[str, Any]]:
    where = AllOf((_of(service), _CALL, *([] if by is None else [Presence(by)])))
    groups = () if by is None else (by,)
    found = await store.aggregate(
        Signal.TRACES, Selection(window, where), _CALL_MEASURES, by=groups, limit=_MOST_GROUPS
    )
    if by is None:
        return [_call_figures(row.values) for row in found.rows if row.values[0]]
    rows = [{"name": row.group[0], **_call_figures(row.values)} for row in found.rows]
    return rows + [{"name": _OTHERS, **_call_figures(row.values)} for row in found.rest if row.values[0]]


async def _calls_and_requests(
    store: TelemetryStore, service: str, window: Window, by: FieldName, by_of_request: FieldName
) -> Sequence[Mapping[str, Any]]:
    """Return the calls per group, each with the requests to models that were made in them."""
    calls = {row["name"]: row for row in await _calls(store, service, window, by)}
    requests = {row["name"]: row for row in await _models(store, service, window, by_of_request)}
    nothing = _call_figures((0, 0, None, None, None))
    return [
        {"name": name, **calls.get(name, nothing), **_requests_and_tokens(requests.get(name))}
        for name in dict.fromkeys((*calls, *requests))
    ]


async def _models(store: TelemetryStore, service: str, window: Window, by: FieldName) -> Sequence[Mapping[str, Any]]:
    where = AllOf((_of(service), Presence(_MODEL), Presence(by)))
    found = await store.aggregate(
        Signal.TRACES, Selection(window, where), _MODEL_MEASURES, by=(by,), limit=_MOST_GROUPS
    )
    rows = [_model_figures(row.group[0], row.values) for row in found.rows]
    return rows + [_model_figures(_OTHERS, row.values) for row in found.rest if row.values[0]]


async def _times(store: TelemetryStore, service: str, window: Window, every: int) -> Sequence[Mapping[str, Any]]:
    """Return the figures per part of the window in which there was a call or a request to a model."""
    calls = await store.aggregate(
        Signal.TRACES, Selection(window, AllOf((_of(service), _CALL))), _CALL_MEASURES, every=every
    )
    models = await store.aggregate(
        Signal.TRACES, Selection(window, AllOf((_of(service), Presence(_MODEL)))), _MODEL_MEASURES, every=every
    )
    called = {row.start or 0: row.values for row in calls.rows if row.values[0]}
    asked = {row.start or 0: row.values for row in models.rows if row.values[0]}
    nothing = (0, 0, None, None, None)
    return [
        {"start": show_time(start), **_call_figures(called.get(start, nothing)), **_spent(asked.get(start))}
        for start in sorted(called.keys() | asked.keys())
    ]


def _of(service: str) -> Comparison:
    return Comparison(FieldName("service.name"), "=", service)


def _call_figures(values: Sequence[float | None]) -> dict[str, Any]:
    calls, errors, p50, p95, p99 = values
    return {"calls": int(calls or 0), "errors": int(errors or 0)} | {
        "p50_ms": _ms(p50),
        "p95_ms": _ms(p95),
        "p99_ms": _ms(p99),
    }


def _model_figures(name: str | None, values: Sequence[float | None]) -> dict[str, Any]:
    requests, errors, p50, p95 = values[:4]
    figures = {"name": name, "requests": int(requests or 0), "errors": int(errors or 0)}
    return {**figures, "p50_ms": _ms(p50), "p95_ms": _ms(p95), **_spent(values)}


def _requests_and_tokens(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the requests to models of a group, and their tokens and cost."""
    if found is None:
        return {"requests": 0, **_spent(None)}
    return {name: found[name] for name in ("requests", "input_tokens", "output_tokens", "cost_usd")}


def _spent(values: Sequence[float | None] | None) -> dict[str, Any]:
    given, returned, cost = (None, None, None) if values is None else values[4:7]
    return {
        "input_tokens": int(given or 0),
        "output_tokens": int(returned or 0),
        "cost_usd": None if cost is None else round(cost, 6),
    }


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)
