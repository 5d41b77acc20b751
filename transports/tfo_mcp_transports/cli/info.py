"""`tfo-mcp info`: show the version, the protocol revisions and the settings in effect."""

from collections.abc import Mapping

from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption


def info(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Show the version, the protocol revisions and the settings in effect; secrets are left out."""
    from tfo_mcp.bootstrap import redacted, server_version
    from tfo_mcp.presentation.server import supported_versions

    settings = settings_of(config)
    if in_json:
        configuration = None if settings.source is None else str(settings.source)
        facts = {"version": server_version(), "protocol_revisions": supported_versions()}
        print(as_json({**facts, "configuration": configuration, "settings": redacted(settings)}))
        return
    print(f"tfo-mcp {server_version()}")
    print(f"Protocol revisions: {', '.join(supported_versions())}")
    print(f"Configuration: {settings.source or 'defaults and environment'}")
    _print(redacted(settings))


def _print(sections: Mapping[str, Mapping[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Value")
    for section, values in sections.items():
        for key, value in values.items():
            table.add_row(f"{section}.{key}", "" if value is None else str(value))
    Console().print(table)
