"""What the process that `forked` forks others from has imported: what a server imports, at its start and to export."""

from importlib import import_module

from tfo_mcp import builtin
from tfo_mcp_transports.cli.main import import_application

import_application([])
builtin.loaded((*builtin.MODULES, *builtin.TELEMETRY_MODULES))
for _name in (
    "anyio._backends._asyncio",
    "rich.console",
    "rich.table",
    "tfo_mcp.infrastructure.telemetry.adapter",
    "tfo_mcp.infrastructure.telemetry.metric_data",
    "tfo_mcp.infrastructure.telemetry.span_encoder",
    "tfo_mcp_transports.cli.network",
    "tfo_mcp_transports.network.uvicorn_protocols",
    "tfo_mcp_transports.streams.stdio",
    "tfo_mcp_transports.streams.unix",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvloop",
    "yaml",
):
    import_module(_name)
