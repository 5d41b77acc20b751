"""`tfo-mcp list`: list the tools, resources or prompts of the server."""

from typing import Annotated, Any, Literal

import typer

from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption, KeyOption, UrlOption

_FIELDS = {
    "tools": ("tools/list", "tools", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "prompts": ("prompts/list", "prompts", "name"),
}


def listing(
    kind: Annotated[Literal["tools", "resources", "prompts"], typer.Argument(help="Kind of entries to list.")],
    url: UrlOption = None,
    key: KeyOption = None,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the tools with their parameters, the resources (with templates) or the prompts."""
    from tfo_mcp_transports.cli.client import connected

    method, field, _ = _FIELDS[kind]
    with connected(url, key, config) as client:
        entries = client.all_pages(method, field)
        if kind == "resources":
            templates = client.all_pages("resources/templates/list", "resourceTemplates")
            entries += templates if in_json else [{**each, "uri": each["uriTemplate"]} for each in templates]
    if in_json:
        print(as_json(entries))
    else:
        _show(kind, entries)


def _show(kind: str, entries: list[dict[str, Any]]) -> None:
    """Print a table on a terminal, otherwise one entry a line with tabs between its columns."""
    from rich.console import Console
    from rich.table import Table

    from tfo_mcp_transports.cli.tool_arguments import signature

    key, console = _FIELDS[kind][2], Console()
    rows = [
        [
            each[key],
            *([signature(each["inputSchema"])] if kind == "tools" else []),
            str(each.get("description", "")).partition("\n")[0],
        ]
        for each in entries
    ]
    if not console.is_terminal:
        for row in rows:
            print(*row, sep="\t")
        return
    title = key.upper() if key == "uri" else key.capitalize()
    table = Table(title, *(["Parameters"] if kind == "tools" else []), "Description")
    for row in rows:
        table.add_row(*row)
    console.print(table)
