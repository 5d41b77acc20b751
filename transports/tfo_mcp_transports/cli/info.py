"""`tfo-mcp info`: show the version, the protocol revisions and the settings in effect."""

from tfo_mcp_transports.cli.options import ConfigOption, settings_of


def info(config: ConfigOption = None) -> None:
    """Show the version, the protocol revisions and the settings in effect; secrets are left out."""
    from rich.console import Console
    from rich.table import Table

    from tfo_mcp.bootstrap import redacted, server_version
    from tfo_mcp.presentation.server import supported_versions

    settings = settings_of(config)
    console = Console()
    console.print(f"tfo-mcp {server_version()}")
    console.print(f"Protocol revisions: {', '.join(supported_versions())}")
    console.print(f"Configuration: {settings.source or 'defaults and environment'}", soft_wrap=True)
    table = Table("Setting", "Value")
    for section, values in redacted(settings).items():
        for key, value in values.items():
            table.add_row(f"{section}.{key}", "" if value is None else str(value))
    console.print(table)
