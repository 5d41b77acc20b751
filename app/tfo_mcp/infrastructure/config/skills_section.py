"""Defines the section `skills`: the directories of skills. Must not know what a skill is made of."""

from pydantic import Field

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import Paths, Switch


class SkillsSettings(Section):
    """Skills: directories with a SKILL.md, which clients that support the skills extension read."""

    directories: Paths = Field(
        default=[],
        description="Directories of skills. Each directory in them that has a SKILL.md is a skill of at most 512 files "
        "and 16 MiB. Hidden files and links are left out. Of two skills with one name, the first is served.",
    )
    directory_read: Switch = Field(
        default=True, description="Whether clients may list the directories of a skill (resources/directory/read)."
    )
