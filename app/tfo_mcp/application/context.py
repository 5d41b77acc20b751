"""What a handler may see of its request: who calls, progress, log, questions, cancellation, and the services.

Knows neither revision nor transport: those stand behind the `Channel`, which the presentation implements per call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.ports import Services
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.interaction import Answer, CapabilityName, Question

LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LOG_LEVELS: tuple[LogLevel, ...] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)
"""RFC 5424 severities, least severe first."""
CANCEL_GRACE_SECONDS = 5.0
"""How long the function of a cancelled call may clean up before it is abandoned."""


class Channel(Protocol):
    """The way back to the client of one request."""

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more."""

    def supports(self, capability: CapabilityName) -> bool:
        """Tell whether the client declared the capability for this request."""

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Report progress, if the client asked for it."""

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Send a log message, if the client wants that level."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Put questions to the client and return the answers by the same keys."""

    async def release_stream(self, retry_ms: int) -> None:
        """End the connection early, where the client can come back for the rest."""


@dataclass(slots=True)
class RequestContext:
    """One request as its handler sees it."""

    caller: Caller
    channel: Channel
    bus: Bus
    services: Services

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more."""
        return self.channel.cancelled
