"""What the process that `forked` forks others from has imported: what the command imports for most of its uses.

Includes what a server imports at its start, for an SQLite database and to export, and what help and `call` import.
"""

from importlib import import_module

from tfo_mcp import builtin
from tfo_mcp_transports.cli.main import import_application

import_application([])
builtin.loaded((*builtin.MODULES, *builtin.TELEMETRY_MODULES))
for _name in (
    "anyio._backends._asyncio",
    "httpx",
    "rich.console",
    "rich.table",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlite3",
    "tfo_mcp.builtin.skills",
    "tfo_mcp.infrastructure.storage.access",
    "tfo_mcp.infrastructure.storage.conversations",
    "tfo_mcp.infrastructure.storage.database",
    "tfo_mcp.infrastructure.storage.keys",
    "tfo_mcp.infrastructure.storage.maintenance",
    "tfo_mcp.infrastructure.storage.outbox",
    "tfo_mcp.infrastructure.storage.quotas",
    "tfo_mcp.infrastructure.storage.retention",
    "tfo_mcp.infrastructure.storage.schema",
    "tfo_mcp.infrastructure.storage.sessions",
    "tfo_mcp.infrastructure.storage.sqlite",
    "tfo_mcp.infrastructure.storage.usage",
    "tfo_mcp.infrastructure.telemetry.adapter",
    "tfo_mcp.infrastructure.telemetry.metric_data",
    "tfo_mcp.infrastructure.telemetry.span_encoder",
    "tfo_mcp_transports.cli.client",
    "tfo_mcp_transports.cli.network",
    "tfo_mcp_transports.cli.plain_options",
    "tfo_mcp_transports.cli.results",
    "tfo_mcp_transports.cli.tool_arguments",
    "tfo_mcp_transports.network.uvicorn_protocols",
    "tfo_mcp_transports.streams.stdio",
    "tfo_mcp_transports.streams.unix",
    "typer.rich_utils",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvloop",
    "yaml",
):
    import_module(_name)
