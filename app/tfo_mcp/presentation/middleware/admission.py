"""Admission: looks up the called tool, runs the era's checks of an authenticated call and sets the charged account."""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.fair_limiter import current_account
from tfo_mcp.application.queries import GetTool
from tfo_mcp.domain.errors import ToolNotFound
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call


class Admission:
    """Checks calls before they run. Looks the tool up once and stores it in `Call.tool` for all later layers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if its era accepts it and, for tools/call, the caller may use the tool.

        Raises:
            DomainError, Fault: the call is rejected.
        """
        current_account.set(call.facts.account)  # needs no reset: the task serves only this call
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
