"""Redacts the secrets of the settings in force for `config://server`, `tfo-mcp info` and the log.

Owns the visible form of a value. A secret is shown as "set" or null, never in part; credentials in URLs are removed.
"""

import re
from pathlib import Path

from pydantic import SecretStr

from tfo_mcp.infrastructure.config.claude_section import ModelPrice
from tfo_mcp.infrastructure.config.events_section import Webhook
from tfo_mcp.infrastructure.config.reference import sections
from tfo_mcp.infrastructure.config.settings import Settings
from tfo_mcp.infrastructure.config.shapes import OAuth, RootPath
from tfo_mcp.infrastructure.config.storage_section import StorageUrl

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
    if isinstance(value, RootPath | OAuth | StorageUrl | ModelPrice | Webhook):
        return value.plain()
    if isinstance(value, str | Path):
        return _CREDENTIALS.sub("", str(value))
    return value
