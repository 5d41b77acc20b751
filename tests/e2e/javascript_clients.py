"""Runs visits with the official TypeScript client and the Inspector's command line, each in separate processes.

Knows their command lines and their output; asserts only that they succeed.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.e2e.deployment import REVISIONS, Deployment, Transport
from tests.e2e.node_programs import installed, own, run_together
from tests.e2e.visits import Call, Mode, Result, Visit, era_of, errand_at
from tests.support.envelopes import META_PREFIX

TYPES: Mapping[Transport, str] = {"http": "streamable-http", "sse": "sse"}
NO_KEYCHAIN = {"MCP_INSPECTOR_SECRET_STORE": "memory"}  # keeps the user's keychain untouched
TOOL_FAILED = 5  # the Inspector's exit code for a result with `isError`


def visit_with_typescript(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    """Run the errand with the official TypeScript client."""
    order = {
        "transport": transport,
        "mode": {"pin": REVISIONS["stateless"]} if mode == "modern" else mode,
        "errand": errand_at(deployment).as_json,
        **({"server": _child(deployment)} if transport == "stdio" else {"url": deployment.url(transport)}),
    }
    (ended,) = run_together([[*own("typescript_client.mjs"), json.dumps(order)]], home=deployment.home)
    assert ended.code == 0, ended
    seen = json.loads(ended.stdout)
    progress = [(value, total, message) for value, total, message in seen["progress"]]
    return Visit(era_of(seen["revision"]), frozenset(seen["tools"]), seen["results"], progress)


def visit_with_inspector(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    """Run the errand with one Inspector process for each request; the Inspector reports no progress."""
    configuration = deployment.folder("inspector") / "mcp.json"
    server = (
        _child(deployment) if transport == "stdio" else {"type": TYPES[transport], "url": deployment.url(transport)}
    )
    configuration.write_text(json.dumps({"mcpServers": {"tfo-mcp": server}}), encoding="utf-8")
    start = [*installed("mcp-inspector"), "--cli", "--config", str(configuration), "--server", "tfo-mcp"]
    start += ["--protocol-era", mode, "--stored-auth-only", "--format", "json", "--method"]
    calls = errand_at(deployment).calls
    lines = [[*start, "tools/list"], *([*start, *_arguments(call)] for call in calls.values())]
    listing, *results = _inspect(lines, deployment)
    stateless = f"{META_PREFIX}serverInfo" in results[0].get("_meta", {})
    return Visit(
        "stateless" if stateless else "handshake",
        frozenset(tool["name"] for tool in listing["tools"]),
        dict(zip(calls, results, strict=True)),
    )


def _inspect(lines: Sequence[Sequence[str]], deployment: Deployment) -> list[Result]:
    results = []
    for ended in run_together(lines, home=deployment.home, variables=NO_KEYCHAIN):
        assert ended.stdout, ended
        result = json.loads(ended.stdout)["result"]
        assert ended.code == (TOOL_FAILED if result.get("isError") else 0), ended
        results.append(result)
    return results


def _arguments(call: Call) -> list[str]:
    return ["tools/call", "--tool-name", call.name, "--tool-args-json", json.dumps(call.arguments)]


def _child(deployment: Deployment) -> dict[str, Any]:
    executable, *arguments = deployment.stdio_line
    return {"command": executable, "args": arguments, "env": deployment.stdio_variables, "cwd": str(deployment.root)}
