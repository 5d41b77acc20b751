"""`tfo-mcp install`: make a host start this server, or print what its configuration needs."""

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
    host: Annotated[HostName, typer.Argument(help="The program that is to start the server.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print the configuration; write nothing.")] = False,
    name: Annotated[str, typer.Option(help="Name of the server there.")] = NAME,
    root: Annotated[
        list[str] | None,
        typer.Option(
            help="Directory that the file tools may use, once for each. Default: those of the configuration, or else "
            "this directory, if it is a project.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="For the project in this directory alone, not for the user.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write this server into the configuration of a host, or print it.

    What is there stays; before a file is changed, a backup is made beside it. The entry names the directories that the
    file tools may use, since hosts start servers anywhere.
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
    """Return the roots for the entry: those given, else those that a setting names, else this directory.

    Raises:
        ConfigurationError: none is named, and this directory is no project.
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
        print(f"{path}: {name} is there already")
        return
    print(f"{path}: {name} {outcome}" + ("" if backup is None else f"; what was there is in {backup.name}"))
    print(f"For {host.title} to see it: {host.afterwards}.")
