"""The startup message of the server: addresses, access rules, and a configuration snippet for a desktop host."""

import json
from collections.abc import Mapping, Sequence

from tfo_mcp.bootstrap import RootPath, Settings, anonymous_access, served_roots, server_version
from tfo_mcp_transports.cli.hosts import NAME, entry_for

_NAMES: Mapping[str, tuple[str, str]] = {
    "streamable_http": ("MCP endpoint", "http"),
    "websocket": ("WebSocket", "ws"),
    "sse": ("HTTP+SSE", "http"),
    "playground": ("Try it", "http"),
    "health": ("Health", "http"),
}


def network_addresses(host: str, port: int, transports: Mapping[str, str]) -> dict[str, str]:
    """Return the URL of each network transport by its display name.

    Args:
        host: the bound address.
        port: the bound port.
        transports: the path of each transport by its name, as from `network_transports`.
    """
    shown = f"[{host}]" if ":" in host else host
    return {
        _NAMES[transport][0]: f"{_NAMES[transport][1]}://{shown}:{port}{path}" for transport, path in transports.items()
    }


def print_welcome(addresses: Mapping[str, str], settings: Settings) -> None:
    """Print the startup message to standard output.

    Args:
        addresses: the address of each transport by its display name.
        settings: the settings in effect.
    """
    roots = served_roots(settings).paths
    lines = [
        f"TelemetryFlow MCP Server {server_version()}",
        "",
        *(f"  {name:<13}  {address}" for name, address in addresses.items()),
        "",
        *(f"  {sentence}" for sentence in _access(settings)),
        f"  {_what_is_served(roots)}",
        "",
        "For a desktop host that starts the server itself (stdio, every tool): tfo-mcp install HOST, or by hand:",
        "",
        json.dumps({"mcpServers": {NAME: entry_for(settings, roots)}}, indent=2),
        "",
        "Press Ctrl+C to stop.",
    ]
    print("\n".join(lines), flush=True)


def _access(settings: Settings) -> Sequence[str]:
    if settings.server.transport == "unix":
        return ("Callers act as the owner of the process and can use everything.",)
    return anonymous_access(settings)


def _what_is_served(roots: Sequence[RootPath]) -> str:
    if not roots:
        return "There are no file tools and no commands: name a directory by the setting files.roots."
    return f"File tools and commands work in: {', '.join(str(root.path.absolute()) for root in roots)}"
