"""MCP hosts: the location and format of each one's list of servers, and how to add an entry to it.

Other servers and settings in such a file keep their values and their order. Knows nothing of the command line.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tfo_mcp.bootstrap import RootPath, Settings, replace_file

NAME = "tfo-mcp"
_PLACE_FOR_A_ROOT = "/path/to/your/project"
Entry = Mapping[str, Any]
Outcome = Literal["added", "replaced", "unchanged"]


class HostFileError(Exception):
    """No entry can be added to the host's file; the file is unchanged."""


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    `member` is the member of its JSON file that holds the servers. `typed` says that an entry names its transport.
    `in_home` returns the user's file; `in_project` is the path of a project's file, None if the host has no such file.
    """

    title: str
    member: str
    in_home: Callable[[], Path]
    in_project: str | None
    typed: bool = False
    afterwards: str = "restart it"


def _settings_directory() -> Path:
    """Return the directory in which programs of this user keep their settings."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


HOSTS: Mapping[str, Host] = {
    "claude-desktop": Host(
        "Claude Desktop",
        "mcpServers",
        lambda: _settings_directory() / "Claude" / "claude_desktop_config.json",
        None,
        afterwards="quit it and start it again",
    ),
    "claude-code": Host(
        "Claude Code",
        "mcpServers",
        lambda: Path.home() / ".claude.json",
        ".mcp.json",
        typed=True,
        afterwards="start a new session",
    ),
    "cursor": Host("Cursor", "mcpServers", lambda: Path.home() / ".cursor" / "mcp.json", ".cursor/mcp.json"),
    "vscode": Host(
        "VS Code",
        "servers",
        lambda: _settings_directory() / "Code" / "User" / "mcp.json",
        ".vscode/mcp.json",
        typed=True,
        afterwards="run the command `MCP: List Servers` and start it",
    ),
}


def entry_for(settings: Settings, roots: Sequence[RootPath], *, typed: bool = False) -> Entry:
    """Return the entry that starts the running command over stdio.

    Args:
        settings: the settings in effect; the entry names their file.
        roots: directories for the file tools, named because a host starts the server in any directory. Without any,
            the entry has a placeholder.
        typed: whether the entry names its transport.
    """
    command = str(Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute())
    arguments = ["serve", "--transport", "stdio"]
    if settings.source is not None:
        arguments += ["--config", str(settings.source)]
    entry: dict[str, Any] = {"type": "stdio"} if typed else {}
    named = [replace(root, path=root.path.absolute()).plain() for root in roots] or [_PLACE_FOR_A_ROOT]
    return {
        **entry,
        "command": command,
        "args": arguments,
        "env": {"TELEMETRYFLOW_MCP_FILES_ROOTS": json.dumps(named)},
    }


def put(path: Path, member: str, name: str, entry: Entry) -> tuple[Outcome, Path | None]:
    """Add or replace an entry in a host's file, and create the file if it is missing.

    Returns:
        The outcome, and the path of the backup; None if no backup was necessary.

    Raises:
        HostFileError: the file is not plain JSON of the expected structure.
        OSError: it cannot be read or written.
    """
    target = Path(os.path.realpath(path))
    before = target.read_bytes() if target.exists() else None
    document = _document(before, path)
    servers = document.setdefault(member, {})
    if not isinstance(servers, dict):
        raise HostFileError(f'{path}: "{member}" is not an object')
    known = servers.get(name)
    if known == entry:
        return "unchanged", None
    servers[name] = dict(entry)
    text = json.dumps(document, indent=_indent(before), ensure_ascii=False) + "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    backup = _back_up(target, before) if before is not None else None
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    replace_file(target, text.encode(), mode)
    return ("added" if known is None else "replaced"), backup


def _document(content: bytes | None, path: Path) -> dict[str, Any]:
    if content is None or not content.strip():
        return {}
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError as problem:
        raise HostFileError(f"{path}: the file is not plain JSON ({problem}); comments in it would be lost") from None
    if not isinstance(document, dict):
        raise HostFileError(f"{path}: the file is not a JSON object")
    return document


def _indent(content: bytes | None) -> int | str:
    """Return the indentation of the first indented line, as `json.dumps` takes it; 2 if there is none."""
    for line in (content or b"").decode("utf-8", "replace").splitlines():
        blank = line[: len(line) - len(line.lstrip())]
        if blank and line.strip():
            return "\t" if blank.startswith("\t") else len(blank)
    return 2


def _back_up(target: Path, content: bytes) -> Path:
    """Write the previous content to a new backup file in the same directory, and return its path."""
    number = 0
    while True:
        backup = target.with_name(f"{target.name}.bak{f'.{number}' if number else ''}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return backup
