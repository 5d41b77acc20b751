"""Creates the request context that handlers of tools, resources and prompts receive."""

from collections.abc import Callable

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import Services
from tfo_mcp.presentation.methods.nested_calls import NestedCalls
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.client_roots import CallRoots
from tfo_mcp.value_objects import value_object

Confine = Callable[[Services, CallRoots], Services]
"""Returns services whose files and commands are confined to the directories of a client."""


@value_object
class Contexts:
    """Creates request contexts; `confine` is set if file access is confined to what each client lists."""

    bus: Bus
    services: Services
    confine: Confine | None = None

    def of(self, call: Call) -> RequestContext:
        """Return the request context of a call."""
        services = self.services if self.confine is None else self.confine(self.services, CallRoots(call))
        tool = call.params["name"] if call.method == "tools/call" else None
        return RequestContext(call.caller, call, self.bus, services, NestedCalls(call), tool)
