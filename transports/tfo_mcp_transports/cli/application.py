"""The command line: registers the sub-commands, and prints known errors as one line instead of a traceback."""

import os
import sys
from typing import Annotated

import typer

from tfo_mcp.bootstrap import ConfigurationError, PluginError, server_version
from tfo_mcp_transports.cli.audit import audit
from tfo_mcp_transports.cli.call import call
from tfo_mcp_transports.cli.doctor import doctor
from tfo_mcp_transports.cli.health import health
from tfo_mcp_transports.cli.info import info
from tfo_mcp_transports.cli.init_config import init_config
from tfo_mcp_transports.cli.install import install
from tfo_mcp_transports.cli.keys import keys
from tfo_mcp_transports.cli.listing import listing
from tfo_mcp_transports.cli.reload import reload
from tfo_mcp_transports.cli.serve import serve
from tfo_mcp_transports.cli.signals import Terminated
from tfo_mcp_transports.cli.validate import validate
from tfo_mcp_transports.descriptors import StreamsClosedError

app = typer.Typer(name="tfo-mcp", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.command()(serve)
app.command()(reload)
app.command()(health)
app.command()(validate)
app.command()(info)
app.command()(doctor)
app.command("init-config")(init_config)
app.command()(install)
app.command("list")(listing)
app.command()(call)
app.add_typer(keys)
app.add_typer(audit)


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
    """Run the command line and exit the process, even if a thread of a tool never ends."""
    code: object = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except (ConfigurationError, PluginError, StreamsClosedError) as problem:
        if isinstance(problem.__cause__, Terminated):
            code = problem.__cause__.code  # the signal came while a plugin was imported
        else:
            print(f"tfo-mcp: {problem}", file=sys.stderr)
            code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)
