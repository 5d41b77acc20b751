"""Lists and calls with the OpenAI Agents SDK; prints the names of the tools and the text of the result as JSON."""

import asyncio
import json
import sys

from agents.mcp import MCPServerStdio, MCPServerStreamableHttp


async def main() -> None:
    order = json.loads(sys.argv[1])
    over_http = {"url": order["url"], "headers": order["headers"]}
    over_stdio = {"command": order["command"], "args": order["args"], "env": order["env"]}
    server = MCPServerStreamableHttp(over_http) if order["transport"] == "http" else MCPServerStdio(over_stdio)
    async with server:
        tools = await server.list_tools()
        result = await server.call_tool("echo", {"message": order["message"]})
    print(json.dumps({"tools": [tool.name for tool in tools], "text": result.content[0].text}))


asyncio.run(main())
