"""The configuration: settings as a frozen model, loaded from command line, environment, file and defaults.

Owns every setting of the product (`settings`), where values come from (`sources`, `loading`), how they are documented
(`documentation`) and shown (`redaction`). Imports nothing else of `app`; whoever needs a setting is handed its section.
"""

from app.infrastructure.config.access_sections import SecuritySettings
from app.infrastructure.config.documentation import render_markdown, render_yaml
from app.infrastructure.config.errors import ConfigurationError
from app.infrastructure.config.loading import load
from app.infrastructure.config.redaction import redacted
from app.infrastructure.config.sections import (
    ClaudeSettings,
    CommandsSettings,
    FilesSettings,
    LoggingSettings,
    McpSettings,
    ServerSettings,
    TelemetrySettings,
)
from app.infrastructure.config.settings import Settings

__all__ = [
    "ClaudeSettings",
    "CommandsSettings",
    "ConfigurationError",
    "FilesSettings",
    "LoggingSettings",
    "McpSettings",
    "SecuritySettings",
    "ServerSettings",
    "Settings",
    "TelemetrySettings",
    "load",
    "redacted",
    "render_markdown",
    "render_yaml",
]
