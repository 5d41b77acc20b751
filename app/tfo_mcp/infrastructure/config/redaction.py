"""Redacts the secrets of the settings in force for `config://server`, `tfo-mcp info` and the log.

Owns the visible form of a value. A secret is shown as "set" or null, never in part; credentials in URLs are removed.
"""

import re
from pathlib import Path

from pydantic import SecretStr

from tfo_mcp.infrastructure.config.reference import sections
from tfo_mcp.infrastructure.config.settings import Settings
from tfo_mcp.infrastructure.config.shapes import OAuth, RootPath

_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")


def redacted(settings: Settings) -> dict[str, dict[str, object]]:
    """Return all settings by section and key as JSON-compatible values."""
    return {
        section.name: {
            setting.key: _visible(getattr(getattr(settings, section.name), setting.key)) for setting in section.settings
        }
        for section in sections()
    }


def _visible(value: object) -> object:
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, list):
        return [_visible(item) for item in value]
    if isinstance(value, RootPath | OAuth):
        return value.plain()
    if isinstance(value, str | Path):
        return _CREDENTIALS.sub("", str(value))
    return value
