"""`tfo-mcp install`: add this server to the configuration of an MCP host, or print the entry."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from tfo_mcp.bootstrap import RootPath, Settings, project_root, require_usable, served_roots
from tfo_mcp_transports.cli.hosts import HOSTS, NAME, Entry, Host, HostFileError, entry_for, put
from tfo_mcp_transports.cli.options import ConfigOption, settings_of

HostName = Literal["claude-desktop", "claude-code", "cursor", "vscode"]


def install(
    host: Annotated[HostName, typer.Argument(help="MCP host that starts the server.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print the configuration; write nothing.")] = False,
    name: Annotated[str, typer.Option(help="Name of the server in the host's configuration.")] = NAME,
    root: Annotated[
        list[str] | None,
        typer.Option(
            help="Directory that the file tools may use; repeat it for several. Default: those of the configuration, "
            "or the working directory if it is a project.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="Install for the project in this directory instead of the user.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add this server to the configuration of an MCP host, or print the entry.

    Other content of the file stays, and a backup is made in the same directory before a change. The entry names the
    directories that the file tools may use, since a host can start the server in any directory.
    """
    wanted, settings = HOSTS[host], settings_of(config)
    roots = _roots(root or (), settings, is_project=project)
    require_usable(roots)
    entry = entry_for(settings, roots, typed=wanted.typed)
    document = json.dumps({wanted.member: {name: entry}}, indent=2)
    if print_only:
        print(document)
        return
    try:
        _write(wanted, _path(wanted, project=project), name, entry)
    except (HostFileError, OSError) as problem:
        print(f"tfo-mcp: {problem}\nNothing was changed. Add this by hand:\n\n{document}", file=sys.stderr)
        raise typer.Exit(1) from None


def _roots(given: Sequence[str], settings: Settings, *, is_project: bool) -> Sequence[RootPath]:
    """Return the roots for the entry: those given, else those of the settings, else the working directory.

    Raises:
        ConfigurationError: no root is given or set, and the working directory is not a project.
    """
    if "" in given:
        raise typer.BadParameter("--root needs the name of a directory")
    if given:
        return [RootPath(Path(name).expanduser()) for name in given]
    if "files.roots" in settings.origins:
        return served_roots(settings).paths
    return [project_root(declared=is_project)]


def _path(host: Host, *, project: bool) -> Path:
    if not project:
        return host.in_home()
    if host.in_project is None:
        raise typer.BadParameter(f"{host.title} has no configuration for one project")
    return Path(host.in_project)


def _write(host: Host, path: Path, name: str, entry: Entry) -> None:
    outcome, backup = put(path, host.member, name, entry)
    if outcome == "unchanged":
        print(f"{path}: {name} is already installed")
        return
    print(f"{path}: {name} {outcome}" + ("" if backup is None else f"; backup of the previous file: {backup.name}"))
    print(f"For {host.title} to see it: {host.afterwards}.")
