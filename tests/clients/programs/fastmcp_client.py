"""Lists and calls with the FastMCP client; prints the names of the tools and the text of the result as JSON."""

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


async def main() -> None:
    order = json.loads(sys.argv[1])
    over_http = StreamableHttpTransport(order["url"], headers=order["headers"])
    over_stdio = StdioTransport(order["command"], order["args"], env=order["env"])
    async with Client[Any](over_http if order["transport"] == "http" else over_stdio) as client:
        tools = await client.list_tools()
        result = await client.call_tool("echo", {"message": order["message"]})
    print(json.dumps({"tools": [tool.name for tool in tools], "text": result.content[0].text}))


asyncio.run(main())
