"""Entries: what a host must know to start this server over stdio, in the form of each host.

Knows neither files nor the command line.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from tfo_mcp.bootstrap import RootPath, Settings
from tfo_mcp.value_objects import value_object

PACKAGE = "tfo-mcp"
_PLACE_FOR_A_ROOT = "/path/to/your/project"
_OF_EXTRA = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w.,-]+)\])?[^;]*;.*\bextra == [\"'](?P<extra>[\w.-]+)[\"']")
"""A requirement of an extra in the package's metadata (PEP 508), e.g. `redis<9,>=8.0; extra == "redis"`."""
_START_SECONDS = 30  # the first start by uvx installs the package
Entry = Mapping[str, Any]


@value_object
class Launch:
    """A command that starts the server, its arguments and variables, and the server's name in a host."""

    name: str
    command: str
    arguments: Sequence[str]
    variables: Mapping[str, str]


def launch_of(settings: Settings, roots: Sequence[RootPath], name: str = PACKAGE) -> Launch:
    """Return how a host starts the running command over stdio.

    Args:
        settings: the settings in effect; the arguments name their file.
        roots: directories for the file tools, named because a host starts the server in any directory. Without any,
            a placeholder is named.
        name: the server's name in the host's configuration.
    """
    command, *arguments = _command()
    arguments += ["serve", "--transport", "stdio"]
    if settings.source is not None:
        arguments += ["--config", str(settings.source)]
    named = [replace(root, path=root.path.absolute()).plain() for root in roots] or [_PLACE_FOR_A_ROOT]
    return Launch(name, command, arguments, {"TELEMETRYFLOW_MCP_FILES_ROOTS": json.dumps(named)})


def _command() -> list[str]:
    """Return the command line of this program: its path, or uvx where the program lives in the cache of uv.

    A program that was started with `python -m` has the path of a module, which a host cannot start.
    """
    if not _is_cached(Path(sys.prefix)):
        program = Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute()
        return [str(program)] if os.access(program, os.X_OK) else [sys.executable, "-m", "tfo_mcp"]
    beside = Path(os.environ.get("UV", "uv")).with_name("uvx")  # uv names its own path to what it runs
    uvx = str(beside) if beside.is_absolute() and beside.exists() else shutil.which("uvx") or "uvx"
    return [uvx, "--from", _requirement(), PACKAGE]


def _is_cached(prefix: Path) -> bool:
    """Return whether an environment is one of uvx, which uv removes from its cache sooner or later."""
    return any((parent / "CACHEDIR.TAG").exists() for parent in prefix.parents)


def _requirement() -> str:
    """Return the package as a requirement, with its extras, and the file or address that it was installed from."""
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return PACKAGE
    extras = [extra for extra in installed.metadata.get_all("Provides-Extra", ()) if _has_extras(PACKAGE, (extra,))]
    name = f"{PACKAGE}[{','.join(extras)}]" if extras else PACKAGE
    with suppress(ValueError, LookupError):
        if (origin := installed.read_text("direct_url.json")) is not None:
            return f"{name} @ {json.loads(origin)['url']}"
    return name


def _has_extras(name: str, extras: Iterable[str]) -> bool:
    """Return whether a package is installed with all that these extras of it need."""
    try:
        needed = distribution(name).requires or ()
    except PackageNotFoundError:
        return False
    for extra in extras:
        for requirement in needed:
            found = _OF_EXTRA.match(requirement)
            if found is None or found["extra"] != extra:
                continue
            if not _has_extras(found["name"], filter(None, (found["extras"] or "").split(","))):
                return False
    return True


def standard_entry(launch: Launch) -> Entry:
    """Return the entry that most hosts have: command, args, env."""
    return {"command": launch.command, "args": list(launch.arguments), "env": dict(launch.variables)}


def typed_entry(launch: Launch) -> Entry:
    """Return an entry that names its transport."""
    return {"type": "stdio", **standard_entry(launch)}


def codex_entry(launch: Launch) -> Entry:
    """Return the table of Codex, which ends a server that has not started after 10 seconds."""
    return {
        "command": launch.command,
        "args": list(launch.arguments),
        "startup_timeout_sec": _START_SECONDS,
        "env": dict(launch.variables),
    }


def copilot_entry(launch: Launch) -> Entry:
    """Return the entry of the GitHub Copilot CLI, which names the tools that it offers."""
    return {"type": "local", **standard_entry(launch), "tools": ["*"]}


def goose_entry(launch: Launch) -> Entry:
    """Return the entry of Goose, whose extensions repeat their name."""
    return {
        "name": launch.name,
        "enabled": True,
        "type": "stdio",
        "cmd": launch.command,
        "args": list(launch.arguments),
        "envs": dict(launch.variables),
    }


def opencode_entry(launch: Launch) -> Entry:
    """Return the entry of OpenCode, whose command is one list."""
    command = [launch.command, *launch.arguments]
    return {"type": "local", "command": command, "environment": dict(launch.variables), "enabled": True}
