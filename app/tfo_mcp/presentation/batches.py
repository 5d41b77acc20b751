"""Batches: the answers of one batch, collected until all are there (2025-03-26).

Each member is served like a request of its own, with an outlet of its own. The answers have a limit together, since the
client gets them at once. Knows neither the codec of messages nor how they are served.
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
    """The answers of one batch so far, charged to the client's share of responses until they are given back."""

    responses: Budget
    account: str
    frames: list[bytes] = field(default_factory=list)
    bytes_left: int = BATCH_ANSWER_BYTES
    _charged: int = 0

    def add(self, frame: bytes) -> bool:
        """Keep an answer; False if there is no room for it."""
        if len(frame) > self.bytes_left:
            self.bytes_left = 0
            return False
        self.frames.append(frame)
        self.bytes_left -= len(frame)
        self.responses.add(self.account, len(frame))
        self._charged += len(frame)
        return True

    def give_back(self) -> None:
        """Stop charging for the answers: they have left."""
        self.responses.give_back(self.account, self._charged)


@dataclass(slots=True)
class MemberOutlet(Outlet):
    """The outlet of one member of a batch: its answer is collected, everything else goes to the frame's own outlet."""

    id: RequestId | None
    outer: Outlet
    answers: Answers

    def begin(self, revision: Revision) -> None:
        """Begin the member as if it had come alone."""
        self.outer.begin(revision)

    async def drained(self) -> None:
        """Wait until the client has taken its earlier answers.

        Raises:
            Fault: there is no room for this answer; the member is not begun.
        """
        await self.outer.drained()
        if not self.answers.bytes_left:
            raise _too_large()

    async def require_stream(self) -> None:
        """Make sure that what is sent from now on reaches the client."""
        await self.outer.require_stream()

    async def notify(self, frame: bytes) -> None:
        """Send a notification at once."""
        await self.outer.notify(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request of the server's at once."""
        await self.outer.request(frame)

    async def disconnect(self, retry_ms: int) -> None:
        """End the connection of the whole batch early."""
        await self.outer.disconnect(retry_ms)

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Keep the answer; an error takes the place of one that has no room."""
        if not self.answers.add(frame):
            self.answers.frames.append(encode_fault(_too_large(), self.id, revision))


def _too_large() -> Fault:
    limit = BATCH_ANSWER_BYTES // 2**20
    return Fault(Kind.TOO_LARGE, f"The answers of one batch are larger than {limit} MiB together: send fewer requests")
