"""Extensions of the protocol (SEP-2133): those of the server, and those that a client declares.

Owns the identifiers, and what a client that lacks an extension is not shown. Must not know definitions of plugins.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfo_mcp.domain.interaction import ClientCapabilities
from tfo_mcp.domain.tool import Tool

APPS = "io.modelcontextprotocol/ui"
"""MCP Apps (SEP-1865): tools with an HTML view."""
CLIENT_CREDENTIALS = "io.modelcontextprotocol/oauth-client-credentials"
"""OAuth client credentials (SEP-1046): tokens for programs without a user."""
SKILLS = "io.modelcontextprotocol/skills"
"""Skills (SEP-2640): directories with instructions for agents."""
APP_MIME_TYPE = "text/html;profile=mcp-app"
_MOST_DECLARED = 32
_LONGEST_IDENTIFIER = 200
_MOST_SETTINGS_BYTES = 4096  # kept as long as the session
_FOR_APPS_ONLY = ["app"]


def declared_extensions(capabilities: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the identifiers of the extensions that a client declares: at most 32, each of at most 200 characters.

    MCP Apps count only if the client shows HTML.
    """
    extensions = capabilities.get("extensions")
    if not isinstance(extensions, Mapping):
        return ()
    names = [name for name in extensions if len(name) <= _LONGEST_IDENTIFIER and isinstance(extensions[name], Mapping)]
    kept = [name for name in names if name != APPS or _shows_html(extensions[name])]
    return tuple(sorted(kept, key=lambda name: (name != APPS, name))[:_MOST_DECLARED])


def settings_of(capabilities: Mapping[str, Any], identifiers: Sequence[str]) -> str:
    """Return the settings of these declared extensions as a JSON object; empty if none has any, or above 4 KiB."""
    settings = {name: declared for name in identifiers if (declared := capabilities["extensions"][name])}
    encoded = json.dumps(settings, separators=(",", ":")) if settings else ""
    return encoded if len(encoded) <= _MOST_SETTINGS_BYTES else ""


def is_listed(tool: Tool, client: ClientCapabilities) -> bool:
    """Return whether a tool is listed for a client: not if it is for apps only, and the client shows none."""
    view = tool.meta.get("ui")
    is_for_apps = isinstance(view, Mapping) and list(view.get("visibility", ())) == _FOR_APPS_ONLY
    return not is_for_apps or APPS in client.extensions


def _shows_html(settings: Mapping[str, Any]) -> bool:
    types = settings.get("mimeTypes")
    return not isinstance(types, list) or APP_MIME_TYPE in types
