"""Lists and calls with Pydantic AI; prints the names of the tools and the text of the result as JSON."""

import asyncio
import json
import sys

from fastmcp.client.transports import StdioTransport
from pydantic_ai.mcp import MCPToolset


async def main() -> None:
    order = json.loads(sys.argv[1])
    if order["transport"] == "http":
        toolset = MCPToolset(order["url"], headers=order["headers"])
    else:
        toolset = MCPToolset(StdioTransport(order["command"], order["args"], env=order["env"]))
    async with toolset:
        tools = await toolset.list_tools()
        result = await toolset.direct_call_tool("echo", {"message": order["message"]})
    print(json.dumps({"tools": [tool.name for tool in tools], "text": str(result)}))


asyncio.run(main())
