"""What a person sees when the HTTP server starts: URLs, and a snippet for a desktop host."""

import json
import shutil
import sys
from pathlib import Path

from app.bootstrap import Settings, server_version


def print_welcome(host: str, port: int, settings: Settings) -> None:
    """Print to standard output, which HTTP leaves free."""
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    allowed = {"none": "nobody (security.anonymous: none)", "read": "read-only tools", "all": "every tool"}
    lines = [
        f"TelemetryFlow MCP Server {server_version()}",
        "",
        f"  MCP endpoint   {url}/mcp",
        f"  Health         {url}/healthz",
        f"  Without credentials network callers get: {allowed[settings.security.anonymous]}",
        "",
        "For a desktop host that starts the server itself (stdio, every tool), add to its configuration:",
        "",
        json.dumps(desktop_snippet(settings), indent=2),
        "",
        "Press Ctrl+C to stop.",
    ]
    print("\n".join(lines), flush=True)


def desktop_snippet(settings: Settings) -> dict[str, object]:
    """Return the host's configuration that starts this very command over stdio."""
    command = str(Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute())
    arguments = ["serve", "--transport", "stdio"]
    if settings.source is not None:
        arguments += ["--config", str(settings.source)]
    return {"mcpServers": {"tfo-mcp": {"command": command, "args": arguments}}}
