"""Requests for functions under test: a channel that keeps what a handler sends and answers what it asks.

It is an implementation of the application's `Channel`, as the presentation's `Call` is one. Knows no wire.
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


@dataclass
class RecordingChannel:
    """The way back to a client that answers by key; `sent` holds what it was told, oldest first."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    capabilities: frozenset[CapabilityName] = frozenset()
    cancelled: bool = False
    sent: list[tuple[Any, ...]] = field(default_factory=list)

    def supports(self, capability: CapabilityName) -> bool:
        """Tell whether the client can do this."""
        return capability in self.capabilities

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Keep the progress."""
        self.sent.append(("progress", value, total, message))

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Keep the log message."""
        self.sent.append(("log", level, data, logger))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Keep the questions and give the answers that were prepared."""
        self.sent.append(("ask", dict(questions)))
        return {key: self.answers[key] for key in questions}

    async def release_stream(self, retry_ms: int) -> None:
        """Keep the wish."""
        self.sent.append(("release", retry_ms))


def request_by(
    caller: Caller = OWNER, channel: RecordingChannel | None = None, bus: Bus | None = None, root: str = "."
) -> RequestContext:
    """Return a request of `caller`, with the real services over the directory `root`."""
    files = rooted(root)
    services = Services(files, confined(files), lambda: {"server": {"port": 8080}})
    return RequestContext(caller, channel or RecordingChannel(), bus or Bus(), services)


def recording(request: RequestContext) -> RecordingChannel:
    """Return the channel of a request that `request_by` made."""
    assert isinstance(request.channel, RecordingChannel)
    return request.channel
