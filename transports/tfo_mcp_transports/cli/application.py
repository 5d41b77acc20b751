"""The command line: finds the sub-command.

Only the module of the sub-command that is run is imported, since a host waits for `serve`; the help needs all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Annotated

import typer

from tfo_mcp.bootstrap import server_version
from tfo_mcp_transports.cli.json_failures import ReportingGroup

_COMMANDS: Mapping[str, str] = {
    "serve": "serve",
    "dev": "dev",
    "reload": "reload",
    "health": "health",
    "validate": "validate",
    "info": "info",
    "doctor": "doctor",
    "usage": "usage",
    "stats": "stats",
    "init-config": "init_config",
    "install": "install",
    "list": "listing",
    "call": "call",
    "read": "call.read",
    "prompt": "call.prompt",
    "keys": "keys",
    "migrate": "migrate",
    "audit": "audit",
    "events": "events",
    "telemetry": "telemetry",
}
"""The module of each sub-command, with the name in it if that is another one."""


def command_line(arguments: Sequence[str]) -> Callable[[], None]:
    """Import what the arguments ask for, and return the function that runs it."""
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(name="tfo-mcp", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback(cls=ReportingGroup)(_root)
    wanted = _COMMANDS if name is None or name not in _COMMANDS else {name: _COMMANDS[name]}
    for each, place in wanted.items():
        module, _, attribute = place.partition(".")
        found = getattr(import_module(f"tfo_mcp_transports.cli.{module}"), attribute or module)
        if isinstance(found, typer.Typer):
            app.add_typer(found)
        else:
            app.command(each)(found)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tfo-mcp {server_version()}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """TelemetryFlow MCP Server."""
