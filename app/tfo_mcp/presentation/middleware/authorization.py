"""Authorization: resolves the tool that a call names among those that its caller may use, and charges its account.

A tool that the caller may not use is unknown to it. The era checks here what needs the caller or the tool.
"""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.fair_limiter import current_account
from tfo_mcp.application.queries import GetTool
from tfo_mcp.domain.errors import ToolNotFound
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call


class Authorization:
    """Authorizes calls. The tool is looked up once and stays on the call."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if its era accepts it and its caller may use the tool that it names.

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
        await call.era.check(call)
        if missing is not None:
            raise missing
        return await call_next(call)
