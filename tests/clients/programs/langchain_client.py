"""Lists and calls with langchain-mcp-adapters; prints the names of the tools and the text of the result as JSON."""

import asyncio
import json
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient


async def main() -> None:
    order = json.loads(sys.argv[1])
    over_http = {"transport": "streamable_http", "url": order["url"], "headers": order["headers"]}
    over_stdio = {"transport": "stdio", "command": order["command"], "args": order["args"], "env": order["env"]}
    client = MultiServerMCPClient({"tfo": over_http if order["transport"] == "http" else over_stdio})
    tools = await client.get_tools()
    (echo,) = [tool for tool in tools if tool.name == "echo"]
    answer = await echo.ainvoke({"message": order["message"]})
    text = answer if isinstance(answer, str) else "".join(block["text"] for block in answer)
    print(json.dumps({"tools": [tool.name for tool in tools], "text": text}))


asyncio.run(main())
