"""`tfo-mcp telemetry`: run the telemetry store, and look at what it holds.

Texts of senders are escaped: nothing that they wrote controls the terminal.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from tfo_mcp.bootstrap import Settings, StoreReport, TelemetryAdministration, escaped
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.json_output import as_json, json_line
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.options import ConfigOption, JsonLinesOption, JsonOption

telemetry = typer.Typer(
    name="telemetry", help="Receive and store telemetry, and look at what is stored.", no_args_is_help=True
)
_HOUR = 3600.0
_MIB = 1024 * 1024


@telemetry.command()
def serve(config: ConfigOption = None) -> None:
    """Run the store process. Servers start it on demand; this is for services and for finding errors."""
    from tfo_mcp_transports.cli.telemetry_store import run_store

    if not run_store(settings_of(config)):
        print("The telemetry store is running already.")


@telemetry.command()
def status(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Show the addresses, the contents and the services of the last hour."""
    with event_loop() as loop:
        report = loop.run(TelemetryAdministration(_enabled(config)).report(_HOUR))
    if in_json:
        print(as_json(_report(report)))
    else:
        _print_report(report)


@telemetry.command()
def clear(
    config: ConfigOption = None,
    confirmed: Annotated[bool, typer.Option("--yes", help="Confirm that all stored telemetry is deleted.")] = False,
    in_json: JsonOption = False,
) -> None:
    """Delete all stored telemetry."""
    if not confirmed:
        raise typer.BadParameter("this deletes all stored telemetry: repeat the command with --yes")
    with event_loop() as loop:
        loop.run(TelemetryAdministration(_enabled(config)).clear())
    print(as_json({"cleared": True}) if in_json else "The telemetry store is empty.")


@telemetry.command()
def stop(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """End the store process, e.g. after an update. Servers start it again when they need it."""
    with event_loop() as loop:
        was_running = loop.run(TelemetryAdministration(_enabled(config)).stop())
    sentence = "The telemetry store has ended." if was_running else "The telemetry store does not run."
    print(as_json({"was_running": was_running}) if in_json else sentence)


@telemetry.command()
def export(
    config: ConfigOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: standard output).")
    ] = None,
    in_json: JsonLinesOption = False,
) -> None:
    """Write all stored telemetry as lines of JSON, each with the name of its table."""

    async def write(sink: TextIO) -> None:
        async for line in TelemetryAdministration(_enabled(config)).export():
            sink.write(line + "\n")

    with _sink(output) as sink, event_loop() as loop:
        loop.run(write(sink))


@telemetry.command()
def tail(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Print spans and log records as they arrive, until interrupted; with --json, the lines of `export`."""

    async def follow() -> None:
        async for table, row in TelemetryAdministration(_enabled(config)).follow():
            if in_json:
                print(json_line({"table": table, **row}), flush=True)
            else:
                print(_span_line(row) if table == "otel_traces" else _log_line(row), flush=True)

    with event_loop() as loop:
        try:
            loop.run(follow())
        except KeyboardInterrupt:
            return


def _enabled(config: Path | None) -> Settings:
    """Return the settings; the store is on unless they switch it off, whatever the transport of `serve` is."""
    return settings_of(config, {"server": {"transport": "stdio"}})


@contextmanager
def _sink(output: Path | None) -> Iterator[TextIO]:
    import sys

    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8") as sink:
            yield sink


def _report(report: StoreReport) -> Mapping[str, Any]:
    """Return a report as JSON values: times in ISO 8601, durations in milliseconds."""
    period = None
    if report.earliest is not None and report.latest is not None:
        period = {"from": _iso(report.earliest), "to": _iso(report.latest)}
    return {
        "pid": report.pid,
        "directory": report.directory,
        "bytes": report.bytes,
        "otlp_http": report.http,
        "otlp_grpc": report.grpc,
        "counts": report.counts or {},
        "period": period,
        "notices": report.notices,
        "services_of_last_hour": [
            {
                "name": each.name,
                "spans": each.spans,
                "requests": each.requests,
                "errors": each.errors,
                "p50_ms": None if each.p50 is None else each.p50 / 1e6,
                "p95_ms": None if each.p95 is None else each.p95 / 1e6,
                "logs": each.logs,
                "points": each.points,
                "last": _iso(each.last),
            }
            for each in report.services
        ],
    }


def _print_report(report: StoreReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(report).items():
        facts.add_row(name, Text(value))
    console.print(facts)
    if not report.services:
        return
    table = Table(title="Services of the last hour", title_justify="left")
    for heading in ("service", "spans", "requests", "errors", "p50 ms", "p95 ms", "logs", "points", "last (UTC)"):
        table.add_column(heading, justify="left" if heading == "service" else "right")
    for each in report.services:
        figures = (each.spans, each.requests, each.errors, _ms(each.p50), _ms(each.p95), each.logs, each.points)
        table.add_row(Text(escaped(each.name)), *map(str, figures), _moment(each.last)[11:19])
    console.print(table)


def _facts(report: StoreReport) -> Mapping[str, str]:
    facts = {
        "process": "does not run (servers start it on demand)" if report.pid is None else f"pid {report.pid}",
        "directory": report.directory,
        "size": f"{report.bytes / _MIB:.1f} MiB",
    }
    if report.http is not None and report.grpc is not None:
        facts |= {"OTLP over HTTP": report.http, "OTLP over gRPC": report.grpc}
    facts |= {name: str(count) for name, count in (report.counts or {}).items()}
    if report.earliest is not None and report.latest is not None:
        facts["period"] = f"{_moment(report.earliest)} to {_moment(report.latest)}"
    return {**facts, **{f"notice {number}": text for number, text in enumerate(report.notices, 1)}}


def _span_line(row: Mapping[str, Any]) -> str:
    shown = f"{row['ServiceName']}  {row['SpanKind'].lower()}  {row['SpanName']}  {row['Duration'] / 1e6:.1f} ms"
    problem = "" if row["StatusCode"] != "Error" else f"  error {row['StatusMessage']}".rstrip()
    return escaped(f"{row['Timestamp'][:23]}  {shown}{problem}  trace {row['TraceId']}")


def _log_line(row: Mapping[str, Any]) -> str:
    severity = row["SeverityText"] or row["SeverityNumber"]
    return escaped(f"{row['Timestamp'][:23]}  {row['ServiceName']}  {severity}  {row['Body']}")


def _ms(duration: float | None) -> str:
    return "" if duration is None else f"{duration / 1e6:.1f}"


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1e9, UTC).isoformat(timespec="milliseconds")


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
