"""Requests for functions under test, on a channel that records messages and gives prepared answers.

The channel implements the application's `Channel`, like the presentation's `Call`. Knows no transport.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.files import confined, rooted
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.context import LogLevel, RequestContext
from tfo_mcp.application.ports import Services
from tfo_mcp.domain.access import OWNER, Caller
from tfo_mcp.domain.interaction import Answer, CapabilityName, Question
from tfo_mcp.domain.tool import ToolResult


@dataclass
class RecordingChannel:
    """A channel to a client with prepared answers by key; `sent` contains the sent messages, oldest first."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    capabilities: frozenset[CapabilityName] = frozenset()
    cancelled: bool = False
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    carried: dict[str, Any] = field(default_factory=dict)

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client has this capability."""
        return capability in self.capabilities

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """Return the settings of an extension of the client, which are always empty."""
        return {} if identifier in self.capabilities else None

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Record the progress."""
        self.sent.append(("progress", value, total, message))

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Record the log message."""
        self.sent.append(("log", level, data, logger))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Record the questions and return their prepared answers."""
        self.sent.append(("ask", dict(questions)))
        return {key: self.answers[key] for key in questions}

    async def release_stream(self, retry_ms: int) -> None:
        """Record the call."""
        self.sent.append(("release", retry_ms))


class NoTools:
    """Calls no tools."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Return an error result."""
        return ToolResult.error(f"There is no tool {name} here")


def request_by(
    caller: Caller = OWNER, channel: RecordingChannel | None = None, bus: Bus | None = None, root: str = "."
) -> RequestContext:
    """Return a request of `caller`, with real file and command services over the directory `root`."""
    files = rooted(root)
    services = Services(files, confined(files), lambda: {"server": {"port": 8080}})
    return RequestContext(caller, channel or RecordingChannel(), bus or Bus(), services, NoTools())


def recording(request: RequestContext) -> RecordingChannel:
    """Return the channel of a request from `request_by`."""
    assert isinstance(request.channel, RecordingChannel)
    return request.channel
