"""The configuration: settings as a frozen model, loaded from command line, environment, file and defaults.

Owns every setting of the product (`settings`), its sources (`sources`, `loading`), its documentation (`documentation`)
and how it is shown (`redaction`). Must not import other parts of `tfo_mcp`; the composition passes sections to the code
that needs them.
"""

from tfo_mcp.infrastructure.config.access_sections import SecuritySettings
from tfo_mcp.infrastructure.config.claude_section import ClaudeSettings
from tfo_mcp.infrastructure.config.documentation import render_markdown, render_yaml
from tfo_mcp.infrastructure.config.errors import ConfigurationError
from tfo_mcp.infrastructure.config.loader import load
from tfo_mcp.infrastructure.config.redaction import redacted
from tfo_mcp.infrastructure.config.sections import (
    CommandsSettings,
    FilesSettings,
    LoggingSettings,
    McpSettings,
    ServerSettings,
)
from tfo_mcp.infrastructure.config.settings import Settings
from tfo_mcp.infrastructure.config.telemetry_section import TelemetrySettings

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
