"""The startup message of the server: addresses, access rules, and a configuration snippet for a desktop host."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from tfo_mcp.bootstrap import RootPath, Settings, anonymous_access, served_roots, server_version
from tfo_mcp_transports.cli.hosts import NAME, launch_of, standard_entry
from tfo_mcp_transports.cli.standard_streams import discard_output

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


def print_welcome(addresses: Mapping[str, str], settings: Settings, *, hidden_tools: int = 0) -> None:
    """Print the startup message to standard output.

    Args:
        addresses: the address of each transport by its display name.
        settings: the settings in effect.
        hidden_tools: the number of tools that callers without a key do not see.
    """
    roots = served_roots(settings).paths
    lines = [
        f"TelemetryFlow MCP Server {server_version()}",
        "",
        *(f"  {name:<13}  {address}" for name, address in addresses.items()),
        "",
        *(f"  {sentence}" for sentence in _access(settings)),
        *_hidden(hidden_tools),
        f"  {_what_is_served(roots)}",
        "",
        "For a desktop host that starts the server itself (stdio, every tool): tfo-mcp install HOST, or by hand:",
        "",
        json.dumps({"mcpServers": {NAME: standard_entry(launch_of(settings, roots))}}, indent=2),
        "",
        "Press Ctrl+C to stop.",
    ]
    try:
        print("\n".join(lines), flush=True)
    except OSError:  # the message is for people; the server needs no reader
        discard_output()


def print_stdio_hint() -> None:
    """Print to standard error what a server over stdio does, if a person has started it on a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():  # None if it is closed
        return
    lines = [
        f"TelemetryFlow MCP Server {server_version()} speaks MCP over this terminal: it waits for JSON-RPC messages,",
        "one per line. A host starts it like this. What you can do instead:",
        "",
        "  tfo-mcp serve --transport http   serve the network, with a page to try the tools in a browser",
        "  tfo-mcp install HOST             let a desktop host start it (tfo-mcp install --help lists them)",
        "  tfo-mcp list tools               list the tools here",
        "",
        "Press Ctrl+D to stop.",
    ]
    with suppress(OSError):
        print("\n".join(lines), file=sys.stderr, flush=True)


def _access(settings: Settings) -> Sequence[str]:
    if settings.server.transport == "unix":
        return ("Callers act as the owner of the process and can use everything.",)
    return anonymous_access(settings)


def _hidden(tools: int) -> Sequence[str]:
    if not tools:
        return ()
    facts = "1 tool needs a key and is" if tools == 1 else f"{tools} tools need a key and are"
    return (f"  {facts} hidden without one: tfo-mcp keys create --help names the scopes.",)


def _what_is_served(roots: Sequence[RootPath]) -> str:
    if not roots:
        return "There are no file tools and no commands: name a directory by the setting files.roots."
    return f"File tools and commands work in: {', '.join(str(root.path.absolute()) for root in roots)}"
