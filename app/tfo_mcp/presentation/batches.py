"""Batches: collects the responses to one JSON-RPC batch until all are complete (revision 2025-03-26).

Each member is served like a separate request, with its own outlet. The total size of the responses is limited, since
they are sent in one frame. Knows neither the message codec nor how calls are served.
"""

from dataclasses import dataclass, field

from tfo_mcp.application.budgets import Budget
from tfo_mcp.presentation.jsonrpc import RequestId
from tfo_mcp.presentation.message_limits import BATCH_ANSWER_BYTES
from tfo_mcp.presentation.protocol.call import Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Kind, encode_fault
from tfo_mcp.presentation.protocol.revisions import Revision


@dataclass(slots=True)
class Answers:
    """The collected responses of one batch, charged to the account's response budget until `give_back`."""

    responses: Budget
    account: str
    frames: list[bytes] = field(default_factory=list)
    bytes_left: int = BATCH_ANSWER_BYTES
    _charged: int = 0

    def add(self, frame: bytes) -> bool:
        """Add a response; return False if it exceeds the size limit of the batch."""
        if len(frame) > self.bytes_left:
            self.bytes_left = 0
            return False
        self.frames.append(frame)
        self.bytes_left -= len(frame)
        self.responses.add(self.account, len(frame))
        self._charged += len(frame)
        return True

    def give_back(self) -> None:
        """Release the charge on the budget after the responses were sent."""
        self.responses.give_back(self.account, self._charged)


@dataclass(slots=True)
class MemberOutlet(Outlet):
    """The outlet of one batch member: collects its response and passes everything else to the batch's outlet."""

    id: RequestId | None
    outer: Outlet
    answers: Answers

    def begin(self, revision: Revision) -> None:
        """Prepare the batch's outlet for the member's request."""
        self.outer.begin(revision)

    async def drained(self) -> None:
        """Wait until the client has taken the pending output.

        Raises:
            Fault: the batch has reached its size limit; the member must not start.
        """
        await self.outer.drained()
        if not self.answers.bytes_left:
            raise _too_large()

    async def require_stream(self) -> None:
        """Ensure that messages can reach the client before the result."""
        await self.outer.require_stream()

    async def notify(self, frame: bytes) -> None:
        """Send a notification immediately, outside the batch."""
        await self.outer.notify(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request to the client immediately, outside the batch."""
        await self.outer.request(frame)

    async def disconnect(self, retry_ms: int) -> None:
        """Close the connection of the whole batch early."""
        await self.outer.disconnect(retry_ms)

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Collect the response; if it exceeds the size limit, collect an error instead."""
        if not self.answers.add(frame):
            self.answers.frames.append(encode_fault(_too_large(), self.id, revision))


def _too_large() -> Fault:
    limit = BATCH_ANSWER_BYTES // 2**20
    return Fault(Kind.TOO_LARGE, f"The responses of one batch exceed {limit} MiB in total: send fewer requests")
