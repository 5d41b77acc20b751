"""`tfo-mcp events`: print the events in the stream of the event log, and work on dead letters."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tfo_mcp.bootstrap import (
    ConfigurationError,
    EventLogUnavailable,
    WorkQueueUnavailable,
    dead_letters,
    escaped,
    event_reader,
    retry_dead_letters,
)
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonLinesOption, JsonOption

events = typer.Typer(name="events", help="Read the event log in NATS, and retry dead letters.", no_args_is_help=True)
dead = typer.Typer(name="dead", help="Deliveries that were given up: the dead letters.", no_args_is_help=True)
events.add_typer(dead)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,6})([smhd])")
SubjectOption = Annotated[
    str, typer.Option(help="Subject after tfo.mcp.events., with the wildcards of NATS: tool.* for all events of tools.")
]


@events.callback()
def root() -> None:
    """Read the event log in NATS."""


@events.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Number of events to print from the end.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new events until interrupted.")] = False,
    subject: SubjectOption = ">",
    config: ConfigOption = None,
    in_json: JsonLinesOption = False,
) -> None:
    """Print the latest events, one CloudEvent in JSON per line."""

    async def work() -> None:
        reader = event_reader(settings_of(config), subject)
        began = datetime.now(UTC)
        for event in await reader.latest(lines):
            _show(event)
        if follow:
            async for event in reader.since(began, follow=True):
                _show(event)

    _run(work)


@events.command()
def replay(
    since: Annotated[str, typer.Option(help="A time such as 2026-11-29T10:00:00Z, or an age such as 90s, 2h or 7d.")],
    subject: SubjectOption = ">",
    config: ConfigOption = None,
    in_json: JsonLinesOption = False,
) -> None:
    """Print all events since a time, one CloudEvent in JSON per line, for a program that has missed them."""
    begin = _time(since)

    async def work() -> None:
        async for event in event_reader(settings_of(config), subject).since(begin):
            _show(event)

    _run(work)


@dead.callback()
def dead_root() -> None:
    """List and retry dead letters: deliveries that failed too often."""


@dead.command("list")
def dead_list(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Print the dead letters, oldest first: number, time, kind of work, job, tries and reason, separated by tabs."""

    async def work() -> None:
        rows = [
            {
                "number": letter.id,
                "time": datetime.fromtimestamp(letter.time, UTC).isoformat(timespec="seconds"),
                "kind": letter.job.kind,
                "job": letter.job.id,
                "tries": letter.tries,
                "reason": letter.reason,
            }
            for letter in await dead_letters(settings_of(config))
        ]
        if in_json:
            print(as_json(rows))
            return
        for row in rows:
            print("\t".join(escaped(str(value)) for value in row.values()))

    _run(work)


@dead.command("retry")
def dead_retry(
    numbers: Annotated[list[str] | None, typer.Argument(help="Numbers of dead letters, as `list` prints them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Retry all dead letters.")] = False,
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Queue the work of dead letters again, with all its attempts."""
    chosen = set(numbers or ())
    if every == bool(chosen):
        raise typer.BadParameter("name numbers of dead letters, or --all")

    async def work() -> None:
        count = await retry_dead_letters(settings_of(config), lambda letter: every or letter.id in chosen)
        missing = 0 if every else len(chosen) - count
        problem = f"{missing} of the numbers name no dead letter"
        if not in_json:
            print(f"{count} queued again", flush=True)
        elif not missing:
            print(as_json({"queued": count}))
        if missing:
            raise CommandFailed(problem, 2, {"queued": count, "problem": problem})

    _run(work)


def _run(work: Callable[[], Coroutine[None, None, None]]) -> None:
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(work())
    except (EventLogUnavailable, WorkQueueUnavailable) as problem:
        raise ConfigurationError((f"The event log cannot be used: {problem}",)) from None


def _show(event: bytes) -> None:
    print(event.decode(errors="replace"), flush=True)


def _time(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a time nor an age") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: append Z for UTC, or an offset such as +02:00")
    return time
