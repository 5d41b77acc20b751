"""Creates the request context that handlers of tools, resources and prompts receive."""

from dataclasses import dataclass

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import Services
from tfo_mcp.presentation.protocol.call import Call


@dataclass(frozen=True, slots=True)
class Contexts:
    """Creates request contexts."""

    bus: Bus
    services: Services

    def of(self, call: Call) -> RequestContext:
        """Return the request context of a call."""
        return RequestContext(call.caller, call, self.bus, self.services)
