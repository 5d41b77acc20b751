"""The settings in effect for a sub-command: those of the file and the environment, changed by its options."""

from collections.abc import Mapping
from pathlib import Path

from tfo_mcp.bootstrap import Settings, load, with_store

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
