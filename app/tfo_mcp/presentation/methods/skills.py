"""skills/list, skills/get and resources/directory/read, the methods of the skills extension (SEP-2640)."""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.queries import GetSkill, ListSkillDirectory, ListSkills
from tfo_mcp.presentation.methods.lists import listed
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.call import Call


class SkillMethods:
    """Lists skills and their directories. Results are not cached: files may change at any time.

    Args:
        reads_directories: whether directories may be read; clients see it as a flag of the extension.
    """

    def __init__(self, bus: Bus, *, reads_directories: bool) -> None:
        self._bus = bus
        self.reads_directories = reads_directories

    async def list(self, call: Call) -> bytes:
        """Answer skills/list."""
        page = await self._bus.handle(ListSkills(call.caller, call.params.get("cursor")))
        return call.era.finish(
            call, listed({"skills": [rendering.skill(one) for one in page.entries]}, page.next_cursor)
        )

    async def get(self, call: Call) -> bytes:
        """Answer skills/get."""
        skill = await self._bus.handle(GetSkill(call.caller, call.params["uri"]))
        return call.era.finish(call, {"skill": rendering.skill(skill)})

    async def read_directory(self, call: Call) -> bytes:
        """Answer resources/directory/read."""
        uri, cursor = call.params["uri"], call.params.get("cursor")
        page = await self._bus.handle(ListSkillDirectory(call.caller, uri, cursor))
        shown = [rendering.skill_entry(entry) for entry in page.entries]
        return call.era.finish(call, listed({"resources": shown}, page.next_cursor))
