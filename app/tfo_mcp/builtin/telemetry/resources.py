"""The telemetry resources: services, fields of a signal, and whole traces as OTLP JSON.

A caller sees the same records as through the tools. Resources have no budget: clients read them, not models.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import to_json

from tfo_mcp.analysis.fingerprints import grouped_errors
from tfo_mcp.analysis.text import safe
from tfo_mcp.analysis.times import show_time
from tfo_mcp.builtin.telemetry.arguments import SCOPE
from tfo_mcp.builtin.telemetry.otlp_json import traces_data
from tfo_mcp.builtin.telemetry.traces import MOST_SPANS
from tfo_mcp.plugins import Context, TextContents, ToolError, resource
from tfo_mcp.plugins.telemetry import Selection, Signal, Window

_JSON = "application/json"
_MOST_FIELDS = 1000
_MOST_ERROR_SHAPES, _MESSAGE_LIMIT = 500, 500
_SIGNALS = ("traces", "logs", "metrics")


async def _signals(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    return [name for name in _SIGNALS if name.startswith(typed)]


@resource("telemetry://services", title="Observed services", mime_type=_JSON, scope=SCOPE)
async def services(ctx: Context) -> TextContents:
    """The services with stored telemetry: versions, first and last record, and numbers of records."""
    found = await ctx.telemetry.services(await _everything(ctx))
    listed = [
        {
            "name": each.name,
            "versions": list(each.versions),
            "first": show_time(each.first),
            "last": show_time(each.last),
            "spans": each.spans,
            "logs": each.logs,
            "points": each.points,
        }
        for each in found
    ]
    return TextContents("telemetry://services", to_json({"services": listed}).decode(), _JSON)


@resource("telemetry://errors", title="Errors", mime_type=_JSON, scope=SCOPE)
async def errors(ctx: Context) -> TextContents:
    """The errors of all stored spans by fingerprint, the latest first; subscribers hear of new fingerprints."""
    shapes = await ctx.telemetry.error_shapes(Selection(await _everything(ctx)), limit=_MOST_ERROR_SHAPES)
    groups = await ctx.in_thread(grouped_errors, shapes)
    listed = [
        {"fingerprint": each.fingerprint, "service": each.service, "type": each.exception_type}
        | {"message": safe(each.message, _MESSAGE_LIMIT), "operations": each.operations, "count": each.count}
        | {"first": show_time(each.first), "last": show_time(each.last), "trace_id": each.trace_id}
        for each in sorted(groups, key=lambda group: -group.last)
    ]
    return TextContents("telemetry://errors", to_json({"errors": listed}).decode(), _JSON)


@resource(
    "telemetry://schema/{signal}",
    name="schema",
    title="Fields of a signal",
    mime_type=_JSON,
    complete={"signal": _signals},
    scope=SCOPE,
)
async def schema(signal: Literal["traces", "logs", "metrics"], ctx: Context) -> TextContents:
    """The fields of all stored spans or log records with their coverage, or the metrics."""
    store, selection = ctx.telemetry, Selection(await _everything(ctx))
    uri = f"telemetry://schema/{signal}"
    if signal == "metrics":
        metrics = await store.metrics(selection, about=None, limit=_MOST_FIELDS)
        listed = [
            {"name": each.name, "type": each.kind, "unit": each.unit, "temporality": each.temporality}
            | {"description": each.description, "services": list(each.services)}
            for each in metrics
        ]
        return TextContents(uri, to_json({"metrics": listed}).decode(), _JSON)
    found = await store.fields(Signal(signal), selection, about=None, values=5, limit=_MOST_FIELDS)
    fields = [
        {"name": each.name, "of": each.place or "column", "records": each.records, "distinct": each.distinct}
        | {"commonest": dict(each.values)}
        for each in found.fields
    ]
    return TextContents(uri, to_json({"records": found.records, "fields": fields}).decode(), _JSON)


@resource("telemetry://trace/{id}", name="trace", title="Trace", mime_type=_JSON, scope=SCOPE)
async def trace(
    id: Annotated[str, Field(pattern="^[0-9A-Fa-f]{32}$", description="Trace id.")], ctx: Context
) -> TextContents:
    """The spans of a trace as OTLP JSON, at most 5,000."""
    stored = await ctx.telemetry.trace(id.lower(), MOST_SPANS)
    if not stored.spans:
        raise ToolError(f"No trace {id} is stored: it is unknown, or was deleted for its age")
    return TextContents(f"telemetry://trace/{id}", to_json(traces_data(stored.spans)).decode(), _JSON)


async def _everything(ctx: Context) -> Window:
    status = await ctx.telemetry.status()
    return Window(status.earliest or 0, (status.latest or 0) + 1)
