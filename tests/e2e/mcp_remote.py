"""Runs a visit through `mcp-remote`, the bridge that connects stdio-only hosts to a network transport.

The host is the official Python client. The log of the bridge shows which era it uses with the server.
"""

from collections.abc import Mapping
from pathlib import Path

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.e2e.deployment import REVISIONS, Deployment, Transport
from tests.e2e.node_programs import environment, installed
from tests.e2e.visits import Mode, Visit, Watcher, errand_at
from tests.support.deadlines import PATIENCE

STRATEGIES: Mapping[Transport, str] = {"http": "http-only", "sse": "sse-only"}


def visit_through_mcp_remote(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    """Run the errand through the bridge; `mode` is the bridge's negotiation, and the host always uses the handshake."""
    log = deployment.folder("bridge") / "stderr"
    return anyio.run(_visit, deployment, transport, mode, log)


async def _visit(deployment: Deployment, transport: Transport, mode: Mode, log: Path) -> Visit:
    errand = errand_at(deployment)
    watcher = Watcher(errand)
    with log.open("w", encoding="utf-8") as errors:
        bridge = stdio_client(_parameters(deployment, transport, mode), errlog=errors)
        async with Client(bridge, mode="legacy", read_timeout_seconds=PATIENCE) as client:
            assert client.protocol_version == REVISIONS["handshake"]
            tools = frozenset(tool.name for tool in (await client.list_tools()).tools)
            results = {}
            for key, call in {**errand.calls, "watched": errand.watched}.items():
                result = await client.call_tool(call.name, dict(call.arguments), progress_callback=watcher.on_progress)
                results[key] = result.model_dump(mode="json", by_alias=True)
    stateless = f"MCP {REVISIONS['stateless']}" in log.read_text(encoding="utf-8")
    return Visit("stateless" if stateless else "handshake", tools, results, watcher.seen)


def _parameters(deployment: Deployment, transport: Transport, mode: Mode) -> StdioServerParameters:
    node, *arguments = installed("mcp-remote")
    arguments += [deployment.url(transport), "--transport", STRATEGIES[transport], "--protocol", mode]
    return StdioServerParameters(command=node, args=arguments, env=environment(deployment.home), cwd=deployment.home)
