"""`tfo-mcp validate`: check the configuration and load every plugin, without serving."""

import asyncio

from tfo_mcp_transports.cli.options import ConfigOption, settings_of


def validate(config: ConfigOption = None) -> None:
    """Check the configuration and load every plugin, without serving."""
    from tfo_mcp.bootstrap import build

    settings = settings_of(config)
    asyncio.run(build(settings).close())
    print(f"Valid: {settings.source or 'defaults and environment'}")
