import asyncio

from mcp import Client


async def main() -> None:
    async with Client("http://127.0.0.1:8080/mcp") as client:
        print([tool.name for tool in (await client.list_tools()).tools])
        print((await client.call_tool("echo", {"message": "hello"})).content)


asyncio.run(main())
