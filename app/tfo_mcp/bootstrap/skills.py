"""Builds what serves skills from the settings: their files, and their methods if there are any."""

from tfo_mcp.application.bus import Bus
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.files.skills import SkillFiles
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.presentation.methods.skills import SkillMethods
from tfo_mcp.presentation.protocol.extensions import SKILLS
from tfo_mcp.presentation.protocol.rendering import JsonObject


def skills_of(settings: Settings, protected: Protected) -> SkillFiles:
    """Return the files of the skills.

    Raises:
        ConfigurationError: a directory cannot be used.
    """
    try:
        return SkillFiles([str(path) for path in settings.skills.directories], protected)
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None


def skill_methods(settings: Settings, bus: Bus) -> SkillMethods | None:
    """Return the methods of the extension; None without directories of skills."""
    section = settings.skills
    return SkillMethods(bus, reads_directories=section.directory_read) if section.directories else None


def skill_extension(settings: Settings) -> dict[str, JsonObject]:
    """Return the extension with its settings, as it is advertised; empty without directories of skills."""
    section = settings.skills
    flags: JsonObject = {"directoryRead": True} if section.directory_read else {}
    return {SKILLS: flags} if section.directories else {}
