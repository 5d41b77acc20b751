from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError


@asynccontextmanager
async def http_client(server: FastMCP) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(base_url="https://rates.example.com", timeout=10) as client:
        yield {"client": client}


mcp = FastMCP("rates", lifespan=http_client)


@mcp.tool
async def exchange_rate(currency: str, context: Context) -> float:
    """Return today's rate of a currency to the euro."""
    response = await context.lifespan_context["client"].get(f"/{currency}")
    if response.is_error:
        raise ToolError(f"There is no rate for {currency}")
    return float(response.text)
