"""`tfo-mcp reload`: make running servers reload their settings, and report the outcome."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption
from tfo_mcp_transports.cli.run_files import RunningServer, running_servers

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.05


def reload(
    config: ConfigOption = None,
    pid: Annotated[
        int | None, typer.Option(help="Process id of the only server to reload.", show_default=False)
    ] = None,
    in_json: JsonOption = False,
) -> None:
    """Make the running servers of this configuration reload it: log level, limits, scopes, plugins and keys.

    No connection is dropped. An invalid configuration changes nothing; the exit code is then 1 or 2.
    """
    settings = settings_of(config)
    source = None if settings.source is None else str(settings.source)
    found = [
        server for server in running_servers() if (server.pid == pid if pid is not None else server.config == source)
    ]
    if not found:
        raise CommandFailed(f"no server of yours runs with {source or 'no configuration file'}")
    problems = {server.pid: _reload(server) for server in found}
    if in_json:
        print(as_json([{"pid": pid, "problems": reasons} for pid, reasons in problems.items()]))
    else:
        _print(problems)
    if any(problems.values()):
        raise typer.Exit(1)


def _reload(server: RunningServer) -> Sequence[str]:
    """Return why a server does not serve with the new settings; empty if it does."""
    try:
        os.kill(server.pid, signal.SIGHUP)
    except ProcessLookupError:
        return ("has ended",)
    after = _outcome(server)
    if after is None:
        return (f"has not reloaded within {_PATIENCE_SECONDS:g} seconds",)
    return after.problems


def _print(problems: Mapping[int, Sequence[str]]) -> None:
    for pid, found in problems.items():
        for problem in found:
            print(f"{pid}: {problem}", file=sys.stderr)
        if not found:
            print(f"{pid}: reloaded")


def _outcome(before: RunningServer) -> RunningServer | None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for server in running_servers():
            if server.pid == before.pid and server.reloads > before.reloads:
                return server
        time.sleep(_LOOK_SECONDS)
    return None
