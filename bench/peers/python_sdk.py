"""Peer (b) of the benchmarks: an echo server on the official Python SDK's `MCPServer`.

It is configured to be fast: JSON responses instead of streams, text results only, only warnings in the log, no access
log, and for HTTP the same uvicorn, uvloop and httptools as the product. The stateless era needs no option;
`--stateless` also serves the handshake era without sessions.

Run it as `python python_sdk.py stdio|http|sse [--port N] [--tools N] [--stateless] [--shop]`; `--tools N` registers N
tools besides `echo`, `--shop` those of `shop_tools`.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

from mcp.server import MCPServer

if TYPE_CHECKING:
    from starlette.applications import Starlette


async def echo(message: str) -> str:
    """Answers with the message."""
    return message


def build_server(tools: int, *, shop: bool) -> MCPServer:
    """A server with `echo` and `tools` additional tools, named `tool_00000` and so on, or those of the shop."""
    server = MCPServer("python-sdk", version="1.0.0", log_level="WARNING")
    server.add_tool(echo, structured_output=False)
    if shop:
        for function in import_module("shop_tools").TOOLS:
            server.add_tool(function, structured_output=False)
    for number in range(tools):
        description = f"Answers with the message (tool {number})"
        server.add_tool(echo, name=f"tool_{number:05d}", description=description, structured_output=False)
    return server


def main() -> None:
    """Serve the transport that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transport", choices=["stdio", "http", "sse"])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tools", type=int, default=0)
    parser.add_argument("--stateless", action="store_true")
    parser.add_argument("--shop", action="store_true")
    options = parser.parse_args()
    server = build_server(options.tools, shop=options.shop)
    if options.transport == "stdio":
        server.run("stdio")
    elif options.transport == "sse":
        serve(server.sse_app(), options.port)
    else:
        serve(server.streamable_http_app(json_response=True, stateless_http=options.stateless), options.port)


def serve(app: Starlette, port: int) -> None:
    """Serve an app on the loopback address until a signal arrives."""
    import uvicorn

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
