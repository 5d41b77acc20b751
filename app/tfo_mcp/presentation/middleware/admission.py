"""Admission: what the era checks once the caller is known, the tool that is called, and whose account is charged."""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.fair_limiter import current_account
from tfo_mcp.application.queries import GetTool
from tfo_mcp.domain.errors import ToolNotFound
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call


class Admission:
    """Admits calls. A tool is looked up here, once, for everything that asks for it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if its era admits it and, where it calls a tool, there is one for its caller.

        Raises:
            DomainError, Fault: the call is not to run.
        """
        current_account.set(call.facts.account)  # the task serves this call alone
        missing: ToolNotFound | None = None
        if call.method == "tools/call":
            try:
                call.tool = await self._bus.handle(GetTool(call.caller, call.params["name"]))
            except ToolNotFound as problem:
                missing = problem
        await call.era.admit(call)
        if missing is not None:
            raise missing
        return await call_next(call)
