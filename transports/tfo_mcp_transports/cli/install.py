"""`tfo-mcp install`: add this server to the configuration of an MCP host, remove it, or print the entry or a link."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp.bootstrap import RootPath, Settings, project_root, require_usable, served_roots
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.hosts import (
    HOSTS,
    NAME,
    Host,
    HostFileError,
    HostName,
    Launch,
    Locations,
    deeplink,
    launch_of,
    put,
    remove,
)
from tfo_mcp_transports.cli.options import ConfigOption

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


def _name(text: str) -> str:
    """Return a name that every host accepts: it becomes a part of the names of tools, of 64 characters at most."""
    if _NAME.fullmatch(text) is None:
        raise typer.BadParameter("write a letter, then up to 31 letters, digits, - and _")
    return text


_Host = Annotated[HostName, typer.Argument(help="MCP host that starts the server.")]
_Print = Annotated[bool, typer.Option("--print", help="Print the configuration; write nothing.")]
_Link = Annotated[
    bool, typer.Option("--deeplink", help="Print a link that adds the server (Cursor, LM Studio, VS Code).")
]
_Remove = Annotated[bool, typer.Option("--remove", help="Remove the entry instead.")]
_Name = Annotated[str, typer.Option(help="Name of the server in the host's configuration.", callback=_name)]
_Root = Annotated[
    list[str] | None,
    typer.Option(
        help="Directory that the file tools may use; repeat it for several. Default: those of the configuration, or "
        "the working directory if it is a project.",
        show_default=False,
    ),
]
_Project = Annotated[
    bool, typer.Option("--project", help="Install for the project in this directory instead of the user.")
]


def install(
    host: _Host,
    print_only: _Print = False,
    link: _Link = False,
    removes: _Remove = False,
    name: _Name = NAME,
    root: _Root = None,
    project: _Project = False,
    config: ConfigOption = None,
) -> None:
    """Add this server to the configuration of an MCP host, or print the entry.

    Other content of the file stays, comments included, and a backup is made in the same directory before a change. The
    entry names the directories that the file tools may use, since a host can start the server in any directory.
    """
    wanted = HOSTS[host]
    if sum((print_only, link, removes)) > 1:
        raise typer.BadParameter("use one of --print, --deeplink and --remove")
    if wanted.no_underscores and "_" in name:
        raise typer.BadParameter(f"{wanted.title} splits names at _: use - instead", param_hint="--name")
    if removes:
        _run(lambda: _remove(wanted, _path(wanted, project=project), name))
        return
    settings = settings_of(config)
    roots = _roots(root or (), settings, is_project=project)
    require_usable(roots)
    launch = launch_of(settings, roots, name)
    document = wanted.document({wanted.member: {name: wanted.entry_of(launch, project=project)}})
    if link or print_only:
        print(_link(host, launch) if link else document)
        return
    by_hand = f"Nothing was changed. Add this by hand:\n\n{document}"
    _run(lambda: _put(wanted, _path(wanted, project=project), launch, project=project), by_hand)


def _run(change: Callable[[], str], otherwise: str = "Nothing was changed.") -> None:
    """Print what a change has done, or why nothing was done."""
    try:
        report = change()
    except (HostFileError, OSError) as problem:
        print(f"tfo-mcp: {problem}\n{otherwise}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(report)


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
    if host.in_home is None:
        raise typer.BadParameter(f"the file of {host.title} is not edited: use --print and add the entry by hand")
    if not project:
        return host.in_home(Locations.here())
    if host.in_project is None:
        raise typer.BadParameter(f"{host.title} has no configuration for one project")
    return Path(host.in_project)


def _link(host: HostName, launch: Launch) -> str:
    link = deeplink(host, launch)
    if link is None:
        raise typer.BadParameter(f"{HOSTS[host].title} has no links for servers: use --print")
    return link


def _put(host: Host, path: Path, launch: Launch, *, project: bool) -> str:
    """Write the entry, and return what was done."""
    entry = host.entry_of(launch, project=project)
    outcome, backup = put(path, host.editor, [host.member, launch.name], entry)
    if outcome == "unchanged":
        return f"{path}: {launch.name} is already installed"
    return f"{path}: {launch.name} {outcome}{_kept(backup)}\nFor {host.title} to see it: {host.afterwards}."


def _remove(host: Host, path: Path, name: str) -> str:
    """Remove the entry, and return what was done."""
    outcome, backup = remove(path, host.editor, [host.member, name])
    if outcome == "unchanged":
        return f"{path}: {name} is not installed"
    return f"{path}: {name} removed{_kept(backup)}"


def _kept(backup: Path | None) -> str:
    return "" if backup is None else f"; backup of the previous file: {backup.name}"
