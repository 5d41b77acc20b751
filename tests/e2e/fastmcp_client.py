"""Runs a visit with the FastMCP client over each of its transports, through its public API; asserts nothing."""

from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.progress import ProgressHandler
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError

from tests.e2e.deployment import Deployment, Transport
from tests.e2e.official_client import direct_client
from tests.e2e.visits import Call, Mode, Result, Visit, Watcher, era_of, errand_at
from tests.support.deadlines import PATIENCE

FastMcp = Client[Any]


def visit_with_fastmcp(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    """Run the errand with the FastMCP client."""
    return anyio.run(_visit, deployment, transport, mode)


async def _visit(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    errand = errand_at(deployment)
    watcher = Watcher(errand)
    async with Client(_transport(deployment, transport), mode=mode, timeout=PATIENCE) as client:
        tools = frozenset(tool.name for tool in await client.list_tools())
        results = {key: await _call(client, call) for key, call in errand.calls.items()}
        results["watched"] = await _call(client, errand.watched, watcher.on_progress)
        return Visit(era_of(client.protocol_version), tools, results, watcher.seen)


async def _call(client: FastMcp, call: Call, on_progress: ProgressHandler | None = None) -> Result:
    try:
        result = await client.call_tool(call.name, dict(call.arguments), progress_handler=on_progress)
    except ToolError as failure:  # the client's form of `isError`
        return {"content": [{"type": "text", "text": str(failure)}], "isError": True}
    content = [block.model_dump(mode="json", by_alias=True) for block in result.content]
    return {"content": content, "structuredContent": result.structured_content, "isError": result.is_error}


def _transport(deployment: Deployment, transport: Transport) -> Any:
    if transport == "stdio":
        executable, *arguments = deployment.stdio_line
        return StdioTransport(
            executable,
            arguments,
            env=deployment.stdio_variables,
            cwd=str(deployment.root),
            keep_alive=False,
            log_file=deployment.folder("fastmcp") / "stderr",
        )
    over = StreamableHttpTransport if transport == "http" else SSETransport
    return over(deployment.url(transport), httpx_client_factory=direct_client)
