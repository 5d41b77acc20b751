"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
