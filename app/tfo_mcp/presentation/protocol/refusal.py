"""Refusal: a request that could not even be opened as a call, with the revision in which to say so."""

from tfo_mcp.presentation.protocol.faults import Fault, Kind
from tfo_mcp.presentation.protocol.revisions import Revision


class Refusal(Exception):
    """Carries the fault and the revision whose codes and statuses tell it."""

    def __init__(self, fault: Fault, revision: Revision) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.revision = revision


def draining(revision: Revision) -> Refusal:
    """Return what a request is told that comes when the server is about to end: it has not been begun."""
    fault = Fault(Kind.DRAINING, "The server is shutting down: try again in a second", retryAfterMs=1000)
    return Refusal(fault, revision)
