"""Refusal: rejects a request before it becomes a call, with the revision that the error response must use."""

from tfo_mcp.presentation.protocol.faults import Fault, Kind
from tfo_mcp.presentation.protocol.revisions import Revision


class Refusal(Exception):
    """Carries the fault, and the revision that determines its error code and HTTP status."""

    def __init__(self, fault: Fault, revision: Revision) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.revision = revision


def draining(revision: Revision) -> Refusal:
    """Return the refusal of a request that arrives during shutdown. The request was not started; retrying is safe."""
    fault = Fault(Kind.DRAINING, "The server is shutting down: try again in a second", retryAfterMs=1000)
    return Refusal(fault, revision)
