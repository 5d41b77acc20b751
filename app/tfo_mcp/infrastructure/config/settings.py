"""Composes the sections of the settings into one frozen model.

`reference`, `loader`, `redaction` and `documentation` derive what they need from it, so that each setting is declared
once. It reads neither files nor environment variables: `loader` supplies the values.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tfo_mcp.infrastructure.config.access_sections import LimitsSettings, SecuritySettings
from tfo_mcp.infrastructure.config.claude_section import ClaudeSettings
from tfo_mcp.infrastructure.config.events_section import EventsSettings
from tfo_mcp.infrastructure.config.sections import (
    CommandsSettings,
    FilesSettings,
    LoggingSettings,
    McpSettings,
    ServerSettings,
    StateSettings,
)
from tfo_mcp.infrastructure.config.skills_section import SkillsSettings
from tfo_mcp.infrastructure.config.storage_section import StorageSettings
from tfo_mcp.infrastructure.config.telemetry_section import TelemetrySettings
from tfo_mcp.infrastructure.config.tools_section import ToolsSettings


class Settings(BaseModel):
    """All settings, immutable.

    Three fields are metadata, not settings: `source` is the resolved path of the file that was read, if any; `origins`
    maps the name of each setting that is not at its default to its source; `ignored` maps the name of a setting to the
    reason why the value of a variable without the product's prefix is not used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    server: ServerSettings = Field(default_factory=ServerSettings)
    mcp: McpSettings = Field(default_factory=McpSettings)
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    skills: SkillsSettings = Field(default_factory=SkillsSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    claude: ClaudeSettings = Field(default_factory=ClaudeSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    files: FilesSettings = Field(default_factory=FilesSettings)
    commands: CommandsSettings = Field(default_factory=CommandsSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    events: EventsSettings = Field(default_factory=EventsSettings)
    source: Path | None = Field(default=None, exclude=True)
    origins: Mapping[str, str] = Field(default_factory=dict, exclude=True, repr=False)
    ignored: Mapping[str, str] = Field(default_factory=dict, exclude=True, repr=False)
