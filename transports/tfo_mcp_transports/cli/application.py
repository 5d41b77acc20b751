"""The command line: registers the sub-commands, and ends the process with their exit code."""

import os
from typing import Annotated

import typer

from tfo_mcp.bootstrap import server_version
from tfo_mcp_transports.cli.audit import audit
from tfo_mcp_transports.cli.call import call, prompt, read
from tfo_mcp_transports.cli.dev import dev
from tfo_mcp_transports.cli.doctor import doctor
from tfo_mcp_transports.cli.events import events
from tfo_mcp_transports.cli.exit_codes import exit_code_of
from tfo_mcp_transports.cli.health import health
from tfo_mcp_transports.cli.info import info
from tfo_mcp_transports.cli.init_config import init_config
from tfo_mcp_transports.cli.install import install
from tfo_mcp_transports.cli.keys import keys
from tfo_mcp_transports.cli.listing import listing
from tfo_mcp_transports.cli.migrate import migrate
from tfo_mcp_transports.cli.reload import reload
from tfo_mcp_transports.cli.serve import serve
from tfo_mcp_transports.cli.stats import stats
from tfo_mcp_transports.cli.telemetry import telemetry
from tfo_mcp_transports.cli.usage import usage
from tfo_mcp_transports.cli.validate import validate

app = typer.Typer(name="tfo-mcp", no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(serve)
app.command()(dev)
app.command()(reload)
app.command()(health)
app.command()(validate)
app.command()(info)
app.command()(doctor)
app.command()(usage)
app.command()(stats)
app.command("init-config")(init_config)
app.command()(install)
app.command("list")(listing)
app.command()(call)
app.command()(read)
app.command()(prompt)
app.add_typer(keys)
app.add_typer(migrate)
app.add_typer(audit)
app.add_typer(events)
app.add_typer(telemetry)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tfo-mcp {server_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """TelemetryFlow MCP Server."""


def run() -> None:
    """Run the command line and exit the process, even if a thread of a tool never ends.

    The exit code is 1 if the reader of standard output has left before the end.
    """
    os._exit(exit_code_of(app))
