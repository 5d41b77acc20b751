"""RequestContext: what handlers know about their request: caller, client channel, bus and services.

Knows neither protocol revision nor transport: the presentation hides them behind a `Channel` per call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.ports import Services
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.interaction import Answer, CapabilityName, Question
from tfo_mcp.domain.tool import ToolResult

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
"""Seconds that the function of a cancelled call may clean up before it is cancelled again or abandoned."""


class Channel(Protocol):
    """Sends messages to the client of one request."""

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed."""

    @property
    def carried(self) -> dict[str, Any]:
        """JSON values that a handler keeps for its next run, if a question ends this one (stateless era)."""

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client declared the capability, or the extension with this identifier."""

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """Return the settings that the client declared for an extension, None if it does not support it."""

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Send progress if the client requested it."""

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Send a log message if the client's log level includes it."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Send questions to the client and return the answers by the same keys."""

    async def release_stream(self, retry_ms: int) -> None:
        """Close the connection early if the client can resume; it reconnects after `retry_ms` milliseconds."""


class ToolCaller(Protocol):
    """Calls tools on behalf of one request."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool as the request's caller does: with its scopes, limits and audit log.

        Every failure is an error result.
        """


@dataclass(slots=True)
class RequestContext:
    """The context of one request for its handler."""

    caller: Caller
    channel: Channel
    bus: Bus
    services: Services
    tools: ToolCaller
    tool: str | None = None
    """The name of the called tool; None for other requests."""

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed."""
        return self.channel.cancelled
