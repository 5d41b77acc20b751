"""SkillHandler: lists skills, and the directories in them.

The files of skills are resources: callers need the scope to read resources.
"""

from collections.abc import Iterable

from tfo_mcp.application.catalog import Catalog, EntryT, Page
from tfo_mcp.application.ports import SkillLibrary
from tfo_mcp.application.queries import GetSkill, ListSkillDirectory, ListSkillDocuments, ListSkills
from tfo_mcp.domain.access import RESOURCES_READ, Caller
from tfo_mcp.domain.errors import SkillNotFound
from tfo_mcp.domain.skill import Skill, SkillEntry


class SkillHandler:
    """Answers queries about skills with pages of at most `page_size` entries."""

    def __init__(self, library: SkillLibrary, page_size: int) -> None:
        self._library = library
        self._page_size = page_size

    async def list(self, query: ListSkills) -> Page[Skill]:
        """Return a page of the skills; none for a caller who may not read resources.

        Raises:
            InvalidCursor: the cursor is malformed.
        """
        return _page(await self._visible(query.caller), query.cursor, self._page_size)

    async def list_documents(self, query: ListSkillDocuments) -> tuple[Skill, ...]:
        """Return all skills, sorted by URI; none for a caller who may not read resources."""
        return tuple(sorted(await self._visible(query.caller), key=lambda skill: skill.key))

    async def get(self, query: GetSkill) -> Skill:
        """Return the skill whose document has the URI.

        Raises:
            SkillNotFound: there is none, or the caller may not read resources.
        """
        for skill in await self._permitted(query.uri, query.caller):
            if skill.uri == query.uri:
                return skill
        raise SkillNotFound(query.uri)

    async def list_directory(self, query: ListSkillDirectory) -> Page[SkillEntry]:
        """Return a page of what lies directly in a directory of a skill.

        Raises:
            SkillNotFound: the URI is not that of a directory, or the caller may not read resources.
            InvalidCursor: the cursor is malformed.
        """
        for skill in await self._permitted(query.uri, query.caller):
            if (entries := skill.entries(query.uri)) is not None:
                return _page(entries, query.cursor, self._page_size)
        raise SkillNotFound(query.uri)

    async def _visible(self, caller: Caller) -> Iterable[Skill]:
        return await self._library.skills() if caller.may(RESOURCES_READ) else ()

    async def _permitted(self, uri: str, caller: Caller) -> Iterable[Skill]:
        if not caller.may(RESOURCES_READ):
            raise SkillNotFound(uri, RESOURCES_READ)
        return await self._library.skills()


def _page(entries: Iterable[EntryT], cursor: str | None, size: int) -> Page[EntryT]:
    catalog: Catalog[EntryT] = Catalog()
    for entry in entries:
        catalog.put(entry)
    return catalog.page(cursor, size)
