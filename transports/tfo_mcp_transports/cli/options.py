"""Options that several sub-commands take, and how they become settings."""

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
"""For commands that serve one request: their user wants the answer, not a line about it."""


def settings_of(config: Path | None, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
    """Return the settings in effect.

    Raises:
        ConfigurationError: they cannot be used; the message lists every problem.
    """
    return load(config, overrides or {})


def settings_again(settings: Settings, overrides: Mapping[str, Mapping[str, object]]) -> Settings:
    """Return the settings as they are now, from the file that they came from: no other is looked for meanwhile.

    Raises:
        ConfigurationError: they cannot be used; the message lists every problem.
    """
    return load(settings.source, overrides, looks_for_file=False)
