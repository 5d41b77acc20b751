"""The built-in resources config://server (settings in effect) and status://health (health report)."""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.plugins import Context, resource

_JSON = "application/json"


@resource("config://server", name="config", title="Configuration", mime_type=_JSON)
async def configuration(ctx: Context) -> Mapping[str, Any]:
    """The settings in effect, by section, without secrets."""
    return dict(ctx.configuration())


@resource("status://health", name="health", title="Health", mime_type=_JSON)
async def health(ctx: Context) -> object:
    """Server health: uptime, registered features and number of calls served."""
    return await ctx.health()
