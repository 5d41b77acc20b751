"""`tfo-mcp call`: call one tool, in process or on a running server."""

import json
import sys
from typing import Annotated, Any

import typer

from tfo_mcp_transports.cli.options import QUIET, ConfigOption, settings_of


def call(
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: Annotated[str, typer.Argument(help="Arguments as a JSON object.")] = "{}",
    url: Annotated[
        str | None, typer.Option("--url", help="Endpoint of a running server; without it the tool runs in process.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="TFO_MCP_KEY", help="API key or token for the running server.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Call a tool and print its result; exit with 1 when the tool or the server reports an error."""
    from tfo_mcp_transports.cli.client import CallFailed, in_process, over_http

    try:
        parsed = _parsed(arguments)
        with in_process(settings_of(config, QUIET)) if url is None else over_http(url, key) as client:
            result = client.request("tools/call", {"name": tool, "arguments": parsed})
    except CallFailed as problem:
        print(f"tfo-mcp: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    _show(result)
    if result.get("isError"):
        raise typer.Exit(1)


def _parsed(arguments: str) -> dict[str, Any]:
    from tfo_mcp_transports.cli.client import CallFailed

    try:
        parsed = json.loads(arguments)
    except ValueError as problem:
        raise CallFailed(f"The arguments are not JSON: {problem}") from None
    if not isinstance(parsed, dict):
        raise CallFailed('The arguments must be a JSON object, as in \'{"message": "hello"}\'')
    return parsed


def _show(result: dict[str, Any]) -> None:
    for block in result.get("content", []):
        print(block["text"] if block.get("type") == "text" else json.dumps(block, ensure_ascii=False))
