"""The request's context, as handlers of tools, resources and prompts get it from a call."""

from dataclasses import dataclass

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import Services
from tfo_mcp.presentation.protocol.call import Call


@dataclass(frozen=True, slots=True)
class Contexts:
    """Makes the context of a call."""

    bus: Bus
    services: Services

    def of(self, call: Call) -> RequestContext:
        """Return what the handler of this call may see."""
        return RequestContext(call.caller, call, self.bus, self.services)
