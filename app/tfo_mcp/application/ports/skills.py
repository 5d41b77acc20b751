"""The port of skills: the skills in the configured directories, and the contents of their files."""

from collections.abc import Sequence
from typing import Protocol

from tfo_mcp.domain.skill import Skill


class SkillLibrary(Protocol):
    """The skills that the server offers. Each call looks them up: their files may change."""

    async def skills(self) -> Sequence[Skill]:
        """Return the valid skills, without two of one name."""

    async def read(self, name: str, path: str) -> bytes:
        """Return the contents of a file of the skill with a name.

        Raises:
            FileMissing: there is no such skill, or it has no such file.
        """
