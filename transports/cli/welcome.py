"""What a person sees when the server starts: where it is reached, and a snippet for a desktop host."""

import json
from collections.abc import Mapping

from app.bootstrap import Settings, requires_key, server_version
from transports.cli.hosts import NAME, entry_for

_NAMES: Mapping[str, tuple[str, str]] = {
    "streamable_http": ("MCP endpoint", "http"),
    "websocket": ("WebSocket", "ws"),
    "sse": ("HTTP+SSE", "http"),
    "playground": ("Try it", "http"),
    "health": ("Health", "http"),
}


def network_addresses(host: str, port: int, wires: Mapping[str, str]) -> dict[str, str]:
    """Return where each wire is reached, by the name that a person knows it by; `wires` are paths."""
    shown = f"[{host}]" if ":" in host else host
    return {_NAMES[wire][0]: f"{_NAMES[wire][1]}://{shown}:{port}{path}" for wire, path in wires.items()}


def print_welcome(addresses: Mapping[str, str], settings: Settings) -> None:
    """Print to standard output where the server is reached."""
    lines = [
        f"TelemetryFlow MCP Server {server_version()}",
        "",
        *(f"  {name:<13}  {address}" for name, address in addresses.items()),
        "",
        f"  {_who_may_call(settings)}",
        "",
        "For a desktop host that starts the server itself (stdio, every tool): tfo-mcp install HOST, or by hand:",
        "",
        json.dumps({"mcpServers": {NAME: entry_for(settings)}}, indent=2),
        "",
        "Press Ctrl+C to stop.",
    ]
    print("\n".join(lines), flush=True)


def _who_may_call(settings: Settings) -> str:
    if requires_key(settings):
        return "Callers need an API key: tfo-mcp keys create --name NAME makes one"
    allowed = {"none": "nothing (security.anonymous: none)", "read": "what only reads", "all": "everything"}
    return f"Without credentials network callers get: {allowed[settings.security.anonymous]}"
