"""The directories that a client lists (`roots`), for servers that confine file access to them.

A conversation with its own connection is asked once, and again after it has announced a change. Other clients are asked
in each call that needs files: the next call may be served by another process. Must not know files.
"""

from tfo_mcp.domain.interaction import ClientRoot, ListRoots, Roots
from tfo_mcp.presentation.protocol.call import Call

_KEY = "tfo-mcp client roots"


class CallRoots:
    """The directories of the client of one call; those of a nested call are the outer one's."""

    def __init__(self, call: Call) -> None:
        while call.parent is not None:
            call = call.parent
        self._call = call

    async def listed(self) -> tuple[ClientRoot, ...] | None:
        """Return the directories that the client lists, None if it does not declare the capability.

        Raises:
            InputRequired: the client must be asked, and answers by repeating the call.
            OperationFailed: the client cannot be asked, or does not answer.
        """
        call = self._call
        if not call.supports("roots"):
            return None
        correlation = call.correlation
        if not correlation.standing or call.session is None:
            return await self._ask()
        if correlation.client_roots is None:
            asked = correlation.root_changes
            listed = await self._ask()
            if asked == correlation.root_changes:
                correlation.client_roots = listed
            return listed
        return correlation.client_roots

    async def _ask(self) -> tuple[ClientRoot, ...]:
        answer = (await self._call.ask({_KEY: ListRoots()}))[_KEY]
        return answer.roots if isinstance(answer, Roots) else ()
