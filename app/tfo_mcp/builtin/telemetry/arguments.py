"""Parameter types that the telemetry tools share. Descriptions are short: clients send them with every request."""

from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import ToolHints

SCOPE = "telemetry:read"
HINTS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)

From = Annotated[str, Field(description="15m ago, RFC 3339 with offset, or version:1.2")]
To = str
Where = Annotated[str, Field(description='service.name = "cart" and duration > 500ms and body ~ "timeout"')]
Budget = Annotated[int, Field(description="Maximum tokens")]
Service = str
Cursor = Annotated[str, Field(description="From the previous answer")]

DEFAULT_FROM, DEFAULT_TO = "1h ago", "now"
