"""`tfo-mcp install`: add this server to the configuration of an MCP host, remove it, or print the entry or a link."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp.bootstrap import RootPath, Settings, project_root, require_usable, served_roots
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
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
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption

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
    in_json: JsonOption = False,
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
        _show(*_remove(wanted, host, name, project=project), in_json)
        return
    settings = settings_of(config)
    roots = _roots(root or (), settings, is_project=project)
    require_usable(roots)
    launch = launch_of(settings, roots, name)
    facts = {"host": host, "name": name, "entry": wanted.entry_of(launch, project=project)}
    if link:
        address = _link(host, launch)
        _show(address, {**facts, "outcome": "printed", "link": address}, in_json)
    elif print_only:
        _show(wanted.document(_document(wanted, launch, project=project)), {**facts, "outcome": "printed"}, in_json)
    else:
        _show(*_put(wanted, launch, facts, project=project), in_json)


def _show(text: str, facts: Mapping[str, object], in_json: bool) -> None:
    print(as_json(facts) if in_json else text)


def _document(host: Host, launch: Launch, *, project: bool) -> Mapping[str, object]:
    return {host.member: {launch.name: host.entry_of(launch, project=project)}}


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


def _put(host: Host, launch: Launch, facts: Mapping[str, object], *, project: bool) -> tuple[str, Mapping[str, object]]:
    """Write the entry; return what was done, as text and as facts.

    Raises:
        CommandFailed: nothing was changed.
    """
    try:
        path = _path(host, project=project)
        outcome, backup = put(path, host.editor, [host.member, launch.name], host.entry_of(launch, project=project))
    except (HostFileError, OSError) as problem:
        by_hand = host.document(_document(host, launch, project=project))
        reason = f"{problem}\nNothing was changed. Add this by hand:\n\n{by_hand}"
        raise CommandFailed(reason, report={**facts, "outcome": "unchanged", "problem": str(problem)}) from None
    if outcome == "unchanged":
        text = f"{path}: {launch.name} is already installed"
    else:
        text = f"{path}: {launch.name} {outcome}{_kept(backup)}\nFor {host.title} to see it: {host.afterwards}."
    return text, {**facts, **_changes(outcome, path, backup)}


def _remove(host: Host, host_name: HostName, name: str, *, project: bool) -> tuple[str, Mapping[str, object]]:
    """Remove the entry; return what was done, as text and as facts.

    Raises:
        CommandFailed: nothing was changed.
    """
    facts = {"host": host_name, "name": name, "entry": None}
    try:
        path = _path(host, project=project)
        outcome, backup = remove(path, host.editor, [host.member, name])
    except (HostFileError, OSError) as problem:
        report = {**facts, "outcome": "unchanged", "problem": str(problem)}
        raise CommandFailed(f"{problem}\nNothing was changed.", report=report) from None
    done = "is not installed" if outcome == "unchanged" else f"removed{_kept(backup)}"
    return f"{path}: {name} {done}", {**facts, **_changes(outcome, path, backup)}


def _changes(outcome: str, path: Path, backup: Path | None) -> Mapping[str, object]:
    kept = None if backup is None else str(backup.absolute())
    return {"outcome": outcome, "file": str(path.absolute()), "backup": kept}


def _kept(backup: Path | None) -> str:
    return "" if backup is None else f"; backup of the previous file: {backup.name}"
