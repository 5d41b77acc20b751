"""Composes the sections of the settings into one frozen model.

`reference`, `loading`, `redaction` and `documentation` derive what they need from it, so that each setting is declared
once. `Settings()` reads neither files nor environment variables; only `loading.load` supplies sources.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tfo_mcp.infrastructure.config.access_sections import LimitsSettings, SecuritySettings
from tfo_mcp.infrastructure.config.sections import (
    ClaudeSettings,
    CommandsSettings,
    FilesSettings,
    LoggingSettings,
    McpSettings,
    ServerSettings,
    TelemetrySettings,
)

ACTIVE_SOURCES: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("ACTIVE_SOURCES", default=())
"""The sources of the load in progress, highest precedence first; empty outside of `loading.load`."""


class Settings(BaseSettings):
    """All settings, immutable.

    Two fields are metadata, not settings: `source` is the resolved path of the file that was read, if any; `origins`
    maps the name of each setting that is not at its default to its source.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    server: ServerSettings = Field(default_factory=ServerSettings)
    mcp: McpSettings = Field(default_factory=McpSettings)
    claude: ClaudeSettings = Field(default_factory=ClaudeSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    files: FilesSettings = Field(default_factory=FilesSettings)
    commands: CommandsSettings = Field(default_factory=CommandsSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    source: Path | None = Field(default=None, exclude=True)
    origins: Mapping[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Replace the library's own sources, which name no origin and stop at the first error."""
        return (init_settings, *ACTIVE_SOURCES.get())
