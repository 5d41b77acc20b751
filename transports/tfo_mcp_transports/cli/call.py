"""`tfo-mcp call`, `read` and `prompt`: use a tool, a resource or a prompt, in process or on a running server."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption, KeyOption, UrlOption

if TYPE_CHECKING:
    from tfo_mcp_transports.cli.client import Client

_Words = Annotated[
    list[str] | None,
    typer.Argument(help="Arguments as name=value, or one JSON object.", metavar="[NAME=VALUE...]", show_default=False),
]


def call(
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: _Words = None,
    url: UrlOption = None,
    key: KeyOption = None,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Call a tool and print its result; exit with 1 when the tool or the server reports an error.

    On a terminal, progress is shown and questions of the tool are asked. Images are saved to files.
    """
    from tfo_mcp_transports.cli.results import show_blocks
    from tfo_mcp_transports.cli.tool_arguments import arguments_of

    with _client(url, key, config) as client:
        schema = partial(_schema, client, tool)
        result = client.call(tool, arguments_of(arguments or (), schema), schema)
    if in_json:
        print(as_json(result))
    else:
        show_blocks(result.get("content", []), tool)
    if result.get("isError"):
        raise typer.Exit(1)


def read(
    uri: Annotated[str, typer.Argument(help="URI of the resource.")],
    url: UrlOption = None,
    key: KeyOption = None,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read a resource and print its text; binary contents are saved to files."""
    from tfo_mcp_transports.cli.results import show_contents

    with _client(url, key, config) as client:
        result = client.request("resources/read", {"uri": uri})
    if in_json:
        print(as_json(result))
    else:
        show_contents(result["contents"], uri.rstrip("/").rpartition("/")[2])


def prompt(
    name: Annotated[str, typer.Argument(help="Name of the prompt.")],
    arguments: _Words = None,
    url: UrlOption = None,
    key: KeyOption = None,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the messages of a prompt."""
    from tfo_mcp_transports.cli.results import show_blocks
    from tfo_mcp_transports.cli.tool_arguments import arguments_of

    with _client(url, key, config) as client:
        given = arguments_of(arguments or (), dict)
        result = client.request("prompts/get", {"name": name, "arguments": given})
    if in_json:
        print(as_json(result))
        return
    for message in result["messages"]:
        print(f"{message['role']}:")
        show_blocks([message["content"]], name)


@contextmanager
def _client(url: str | None, key: str | None, config: Path | None) -> Iterator["Client"]:
    """Yield a client; the line of progress is erased in the end."""
    from tfo_mcp_transports.cli.client import connected
    from tfo_mcp_transports.cli.dialogue import Dialogue

    dialogue = Dialogue()
    try:
        with connected(url, key, config, dialogue) as client:
            yield client
    finally:
        dialogue.end()


def _schema(client: "Client", tool: str) -> dict[str, Any]:
    """Return the input schema of a tool, an empty one for an unknown tool: the server refuses the call anyway."""
    tools = client.all_pages("tools/list", "tools")
    return next((each["inputSchema"] for each in tools if each["name"] == tool), {})
