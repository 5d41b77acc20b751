"""What a server over stdio imports before its first response: a host that opens many servers waits for all of them."""

import json
import re
from pathlib import Path
from typing import IO, Any

from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, notification, request
from tests.support.processes import Child, stdio_child

IMPORTED = re.compile(r"^import time:[^|]*\|[^|]*\| +([\w.]+)$", re.MULTILINE)
VARIABLES = {"PYTHONPROFILEIMPORTTIME": "1", "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}
FIRST_USED_LATER = ("tfo_mcp.builtin.", "tfo_mcp.analysis.log_patterns", "mcp_types", "typer", "uvicorn", "sqlalchemy")


def test_definitions_are_imported_by_the_first_list_and_not_by_initialize(tmp_path: Path) -> None:
    with stdio_child(directory=tmp_path, variables=VARIABLES, become=list) as server:
        assert server.process.stdin is not None
        assert server.process.stdout is not None
        with server.process.stdin as to, server.process.stdout as out:
            send(to, request(1, "initialize", initialize_params(LATEST_HANDSHAKE)))
            assert json.loads(out.readline())["result"]["serverInfo"]["name"] == "tfo-mcp"
            assert [name for name in imported(server) if name.startswith(FIRST_USED_LATER)] == []
            send(to, notification("notifications/initialized"))
            send(to, request(2, "tools/list"))
            names = {tool["name"] for tool in json.loads(out.readline())["result"]["tools"]}
            assert {"echo", "telemetry_overview"} <= names
            assert {"tfo_mcp.builtin.media", "tfo_mcp.builtin.telemetry.answer"} <= imported(server)


def send(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Write a message as a line."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def imported(server: Child) -> set[str]:
    """Return the modules that the process has imported so far."""
    return set(IMPORTED.findall(server.stderr()))
