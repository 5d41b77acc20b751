"""Options that several sub-commands share, and their conversion into settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp.bootstrap import Settings, load, with_store

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file (default: ./tfo-mcp.yaml if it exists).", show_default=False
    ),
]

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Endpoint of a running server; without it, a server in this process.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", envvar="TFO_MCP_KEY", help="API key or token for the running server.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

QUIET: Mapping[str, Mapping[str, object]] = {"logging": {"level": "warning"}}
"""Overrides for commands that serve one request: they print the result without the log line of the call."""


def settings_of(config: Path | None, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
    """Return the settings in effect.

    Raises:
        ConfigurationError: the settings are not valid; the message lists every problem.
    """
    return with_store(load(config, overrides or {}))


def settings_again(settings: Settings, overrides: Mapping[str, Mapping[str, object]]) -> Settings:
    """Load the settings again from the file that they came from; no other file is searched for.

    Raises:
        ConfigurationError: the settings are not valid; the message lists every problem.
    """
    return with_store(load(settings.source, overrides, looks_for_file=False))
