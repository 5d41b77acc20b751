"""`tfo-mcp stats`: shows how the server is used, from its own spans in the telemetry store.

Names come from telemetry, which others can send: they are escaped, so that none controls the terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tfo_mcp.bootstrap import TelemetryAdministration, escaped
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption

_HOUR = 3600.0
_BAR = 40
_CALLS = ("calls", "errors", "p50_ms", "p95_ms", "p99_ms")
_MODELS = ("requests", "errors", "p50_ms", "p95_ms", "input_tokens", "output_tokens", "cost_usd")
_SPENT = ("requests", "input_tokens", "output_tokens", "cost_usd")
_TABLES = (("tools", "tool", _CALLS), ("methods", "method", _CALLS), ("callers", "caller", _CALLS))


def stats(
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=8784, help="Length of the period until now.")] = 24,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show calls, errors, latency, tokens and cost by tool, method, caller, model and time."""
    settings = settings_of(config, {"server": {"transport": "stdio"}})  # the store is on unless it is switched off
    with event_loop() as loop:
        found = loop.run(TelemetryAdministration(settings).usage(hours * _HOUR))
    if in_json:
        print(as_json(found))
        return
    _print(found)


def _print(found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    total = found["total"]
    console.print(
        Text(
            f"{escaped(found['service'])}, {found['from']} to {found['to']}: {total['calls']} calls, "
            f"{total['errors']} errors, p50 {_shown(total['p50_ms'])} ms, p95 {_shown(total['p95_ms'])} ms"
        ),
        soft_wrap=True,
    )
    if not total["calls"] and not found["models"]:
        return
    for part, heading, columns in (*_TABLES, ("models", "model", _MODELS)):
        if not found[part]:
            continue
        table = Table(title=part.capitalize(), title_justify="left")
        table.add_column(heading, overflow="fold")
        shown = (*columns, *(_SPENT if part != "models" and any(row.get("requests") for row in found[part]) else ()))
        for column in shown:
            table.add_column(column.replace("_", " "), justify="right")
        for row in found[part]:
            table.add_row(Text(escaped(str(row["name"]))), *(_shown(row[column]) for column in shown))
        console.print(table)
    console.print(Text(f"Calls per {_length(found['seconds_per_time'])}; errors are !", style="bold"))
    for line, failed in _plot(found["times"]):
        console.print(Text.assemble(line, (failed, "red")), soft_wrap=True)


def _plot(times: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return a bar per time: its calls, and its errors in another style."""
    most = max((row["calls"] for row in times), default=0) or 1
    bars = []
    for row in times:
        width = max(1, round(_BAR * row["calls"] / most)) if row["calls"] else 0
        failed = min(width, max(1, round(width * row["errors"] / row["calls"]))) if row["errors"] else 0
        tokens = row["input_tokens"] + row["output_tokens"]
        spent = (
            f"  {tokens} tokens" + ("" if row["cost_usd"] is None else f", ${row['cost_usd']:.4f}") if tokens else ""
        )
        bars.append((f"{row['start'][5:16]} {row['calls']:>8} {'█' * (width - failed)}", f"{'!' * failed}{spent}"))
    return bars


def _length(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
