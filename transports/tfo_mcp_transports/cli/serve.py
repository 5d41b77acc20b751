"""`tfo-mcp serve`: run the server."""

from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp_transports.cli.options import ConfigOption
from tfo_mcp_transports.cli.service import LogLevel, TransportName, run_server

ToolsOption = Annotated[
    str | None,
    typer.Option(
        help="Tools to offer, separated by commas; * matches any characters. Replaces tools.enabled.",
        show_default=False,
    ),
]

LogLevelOption = Annotated[LogLevel | None, typer.Option(help="Log level.", show_default=False)]


def serve(
    transport: Annotated[
        TransportName | None,
        typer.Option(
            help="Transport (default: as configured). http serves every network transport; all adds stdio and, if "
            "configured, the Unix socket.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to bind for network transports.", show_default=False)
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind for network transports.", show_default=False)] = None,
    path: Annotated[Path | None, typer.Option(help="Path of the Unix socket.", show_default=False)] = None,
    tools: ToolsOption = None,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve MCP clients over the network, standard input and output, or a Unix socket."""
    run_server(transport, host, port, path, tools, config, log_level)
