"""`tfo-mcp install`: make a host start this server, or print what its configuration needs."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from transports.cli.hosts import HOSTS, NAME, Entry, Host, HostFileError, entry_for, put
from transports.cli.options import ConfigOption, settings_of

HostName = Literal["claude-desktop", "claude-code", "cursor", "vscode"]


def install(
    host: Annotated[HostName, typer.Argument(help="The program that is to start the server.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print the configuration; write nothing.")] = False,
    name: Annotated[str, typer.Option(help="Name of the server there.")] = NAME,
    root: Annotated[
        list[Path] | None,
        typer.Option(help="Directory that the file tools may use, once for each.", show_default=False),
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="For the project in this directory alone, not for the user.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write this server into the configuration of a host, or print it.

    What is there stays; before a file is changed, a backup is made beside it.
    """
    wanted = HOSTS[host]
    entry = entry_for(settings_of(config), tuple(root or ()), typed=wanted.typed)
    document = json.dumps({wanted.member: {name: entry}}, indent=2)
    if print_only:
        print(document)
        return
    try:
        _write(wanted, _path(wanted, project=project), name, entry)
    except (HostFileError, OSError) as problem:
        print(f"tfo-mcp: {problem}\nNothing was changed. Add this by hand:\n\n{document}", file=sys.stderr)
        raise typer.Exit(1) from None


def _path(host: Host, *, project: bool) -> Path:
    if not project:
        return host.in_home()
    if host.in_project is None:
        raise typer.BadParameter(f"{host.title} has no configuration for one project")
    return Path(host.in_project)


def _write(host: Host, path: Path, name: str, entry: Entry) -> None:
    outcome, backup = put(path, host.member, name, entry)
    if outcome == "unchanged":
        print(f"{path}: {name} is there already")
        return
    print(f"{path}: {name} {outcome}" + ("" if backup is None else f"; what was there is in {backup.name}"))
    print(f"For {host.title} to see it: {host.afterwards}.")
