"""The known hosts: the file, the format and the entry of each one.

`docs/hosts.md` lists them for people. Knows nothing of the command line.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from tfo_mcp.value_objects import value_object
from tfo_mcp_transports.cli.hosts import jsonc, toml
from tfo_mcp_transports.cli.hosts.entries import (
    PACKAGE,
    Entry,
    Launch,
    codex_entry,
    copilot_entry,
    goose_entry,
    opencode_entry,
    standard_entry,
    typed_entry,
)
from tfo_mcp_transports.cli.hosts.locations import Locations

NAME = PACKAGE
HostName = Literal[
    "claude-desktop",
    "claude-code",
    "codex",
    "copilot",
    "cursor",
    "gemini",
    "goose",
    "junie",
    "kiro",
    "lm-studio",
    "opencode",
    "vscode",
    "windsurf",
    "zed",
]


class Editor(Protocol):
    """Changes one value of a document and keeps everything else of it, comments and layout included."""

    def value(self, text: str, keys: Sequence[str]) -> object:
        """Return the value at the path of member names, None if there is none."""

    def put(self, text: str, keys: Sequence[str], entry: Entry) -> str:
        """Return the document with the entry at the path."""

    def remove(self, text: str, keys: Sequence[str]) -> str:
        """Return the document without the value at the path, which must have one."""


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_yaml(document: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).strip()


def _as_toml(document: Mapping[str, Any]) -> str:
    import tomlkit

    return tomlkit.dumps(document).strip()


@value_object
class Host:
    """A program that starts MCP servers.

    `in_home` returns the user's file, and is None if the file is not edited. `in_project` is the path of a project's
    file, None if the host has no such file. `member` is the member of the file that holds the servers. `entry` makes
    the entry, `project_entry` that of a project's file if it differs. `document` renders what is printed.
    """

    title: str
    in_home: Callable[[Locations], Path] | None
    in_project: str | None = None
    member: str = "mcpServers"
    entry: Callable[[Launch], Entry] = standard_entry
    project_entry: Callable[[Launch], Entry] | None = None
    editor: Editor = jsonc
    document: Callable[[Mapping[str, Any]], str] = _as_json
    afterwards: str = "restart it"
    no_underscores: bool = False

    def entry_of(self, launch: Launch, *, project: bool) -> Entry:
        """Return the entry for the user's file or a project's."""
        return ((project and self.project_entry) or self.entry)(launch)


HOSTS: Mapping[HostName, Host] = {
    "claude-desktop": Host(
        "Claude Desktop", lambda places: places.claude_desktop, afterwards="quit it and start it again"
    ),
    "claude-code": Host(
        "Claude Code",
        lambda places: places.home / ".claude.json",
        ".mcp.json",
        entry=typed_entry,
        afterwards="start a new session",
    ),
    "codex": Host(
        "Codex",
        lambda places: (places.named("CODEX_HOME") or places.home / ".codex") / "config.toml",
        ".codex/config.toml",
        member="mcp_servers",
        entry=codex_entry,
        editor=toml,
        document=_as_toml,
        afterwards="start a new session",
    ),
    "copilot": Host(
        "GitHub Copilot CLI",
        lambda places: (places.named("COPILOT_HOME") or places.home / ".copilot") / "mcp-config.json",
        ".mcp.json",
        entry=copilot_entry,
        project_entry=typed_entry,  # the file is shared with Claude Code
        afterwards="start a new session",
    ),
    "cursor": Host("Cursor", lambda places: places.home / ".cursor" / "mcp.json", ".cursor/mcp.json"),
    "gemini": Host(
        "Gemini CLI",
        lambda places: places.home / ".gemini" / "settings.json",
        ".gemini/settings.json",
        afterwards="start a new session",
        no_underscores=True,
    ),
    "goose": Host("Goose", None, member="extensions", entry=goose_entry, document=_as_yaml),
    "junie": Host("Junie", lambda places: places.home / ".junie" / "mcp" / "mcp.json", ".junie/mcp/mcp.json"),
    "kiro": Host("Kiro", lambda places: places.home / ".kiro" / "settings" / "mcp.json", ".kiro/settings/mcp.json"),
    "lm-studio": Host("LM Studio", lambda places: places.home / ".lmstudio" / "mcp.json"),
    "opencode": Host("OpenCode", None, member="mcp", entry=opencode_entry),
    "vscode": Host(
        "VS Code",
        lambda places: places.settings / "Code" / "User" / "mcp.json",
        ".vscode/mcp.json",
        member="servers",
        entry=typed_entry,
        afterwards="run the command `MCP: List Servers` and start it",
    ),
    "windsurf": Host("Windsurf", lambda places: places.home / ".codeium" / "windsurf" / "mcp_config.json"),
    "zed": Host("Zed", None, member="context_servers"),
}
