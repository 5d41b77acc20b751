"""Options that several sub-commands share, and their conversion into settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp.bootstrap import Settings, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file (default: ./tfo-mcp.yaml if it exists).", show_default=False
    ),
]

QUIET: Mapping[str, Mapping[str, object]] = {"logging": {"level": "warning"}}
"""Overrides for commands that serve one request: they print the result without the log line of the call."""


def settings_of(config: Path | None, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
    """Return the settings in effect.

    Raises:
        ConfigurationError: the settings are not valid; the message lists every problem.
    """
    return load(config, overrides or {})


def settings_again(settings: Settings, overrides: Mapping[str, Mapping[str, object]]) -> Settings:
    """Load the settings again from the file that they came from; no other file is searched for.

    Raises:
        ConfigurationError: the settings are not valid; the message lists every problem.
    """
    return load(settings.source, overrides, looks_for_file=False)
