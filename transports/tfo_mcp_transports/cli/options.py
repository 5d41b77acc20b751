"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp_transports.cli.json_failures import remember_json

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file (default: ./tfo-mcp.yaml if it exists).", show_default=False
    ),
]

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Endpoint of a running server; without it, a server in this process.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", envvar="TFO_MCP_KEY", help="API key or token for the running server.", show_default=False),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, also when the command fails.", callback=remember_json)
]
JsonLinesOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON, one value per line: the only format; a failure is then JSON as well.",
        callback=remember_json,
    ),
]
"""For commands whose output is always JSON."""
