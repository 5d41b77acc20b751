"""The built-in resources that say how the server is: config://server and status://health."""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.plugins import Context, resource

_JSON = "application/json"


@resource("config://server", name="config", title="Configuration", mime_type=_JSON)
async def configuration(ctx: Context) -> Mapping[str, Any]:
    """The settings in effect, by section. Secrets are left out."""
    return dict(ctx.configuration())


@resource("status://health", name="health", title="Health", mime_type=_JSON)
async def health(ctx: Context) -> object:
    """How the server is: how long it has been up, what it offers, how many calls it has served."""
    return await ctx.health()
