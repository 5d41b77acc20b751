"""`tfo-mcp validate`: check the configuration and load every plugin, without serving."""

import asyncio

from tfo_mcp_transports.cli.options import ConfigOption, settings_of


def validate(config: ConfigOption = None) -> None:
    """Check the configuration and load every plugin, without serving.

    Warns of tools that named hosts refuse.
    """
    from tfo_mcp.bootstrap import build, host_refusals, worker_count

    settings = settings_of(config)
    worker_count(settings)
    asyncio.run(build(settings).close())
    for refusal in host_refusals(settings):
        print(f"Warning: {refusal}")
    print(f"Valid: {settings.source or 'defaults and environment'}")
