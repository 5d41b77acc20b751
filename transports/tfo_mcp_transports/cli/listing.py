"""`tfo-mcp list`: list the tools, resources or prompts of the server."""

from typing import Annotated, Literal

import typer

from tfo_mcp_transports.cli.options import QUIET, ConfigOption, settings_of

_FIELDS = {
    "tools": ("tools/list", "tools", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "prompts": ("prompts/list", "prompts", "name"),
}


def listing(
    kind: Annotated[Literal["tools", "resources", "prompts"], typer.Argument(help="Kind of entries to list.")],
    config: ConfigOption = None,
) -> None:
    """List the tools, resources (with templates) or prompts."""
    from rich.console import Console
    from rich.table import Table

    from tfo_mcp_transports.cli.client import in_process

    method, field, key = _FIELDS[kind]
    with in_process(settings_of(config, QUIET)) as client:
        entries = client.all_pages(method, field)
        if kind == "resources":
            templates = client.all_pages("resources/templates/list", "resourceTemplates")
            entries += [{**template, "uri": template["uriTemplate"]} for template in templates]
    console = Console()
    if not console.is_terminal:  # one entry a line, for grep
        for entry in entries:
            print(entry[key], str(entry.get("description", "")).partition("\n")[0], sep="\t")
        return
    table = Table(key.upper() if key == "uri" else key.capitalize(), "Title", "Description")
    for entry in entries:
        description = str(entry.get("description", "")).partition("\n")[0]
        table.add_row(entry[key], entry.get("title", ""), description)
    console.print(table)
