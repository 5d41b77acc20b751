from collections.abc import AsyncIterator

import httpx

from tfo_mcp.plugins import ToolError, lifespan, tool

_clients: list[httpx.AsyncClient] = []


@lifespan
async def http_client() -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url="https://rates.example.com", timeout=10) as client:
        _clients.append(client)
        yield
        _clients.remove(client)


@tool
async def exchange_rate(currency: str) -> float:
    """Return today's rate of a currency to the euro."""
    response = await _clients[-1].get(f"/{currency}")
    if response.is_error:
        raise ToolError(f"There is no rate for {currency}")
    return float(response.text)
