"""The Session aggregate: what one handshake-era client and the server agreed upon, and how far they are.

Its life is the table TRANSITIONS; a step that the table does not hold raises. Knows no wire, no store and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tfo_mcp.domain.errors import InvalidTransition
from tfo_mcp.domain.events import DomainEvent, SessionClosed, SessionCreated, SessionInitialized
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import NO_CAPABILITIES, ClientCapabilities
from tfo_mcp.domain.text import label


class SessionState(StrEnum):
    """Where a session is in its life."""

    CREATED = "created"
    INITIALIZING = "initializing"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionStep(StrEnum):
    """What can happen to a session."""

    INITIALIZE = "initialize"
    CONFIRM = "confirm"
    CLOSE = "close"
    FINISH = "finish"


TRANSITIONS: Mapping[tuple[SessionState, SessionStep], SessionState] = MappingProxyType(
    {
        (SessionState.CREATED, SessionStep.INITIALIZE): SessionState.INITIALIZING,
        (SessionState.INITIALIZING, SessionStep.CONFIRM): SessionState.READY,
        (SessionState.CREATED, SessionStep.CLOSE): SessionState.CLOSING,
        (SessionState.INITIALIZING, SessionStep.CLOSE): SessionState.CLOSING,
        (SessionState.READY, SessionStep.CLOSE): SessionState.CLOSING,
        (SessionState.CLOSING, SessionStep.FINISH): SessionState.CLOSED,
    }
)


@dataclass(slots=True)
class Session:
    """One client's session.

    `owner` is the caller that made it; anybody else gets what an unknown id gets. `account` is charged for the session.
    A `standing` session ends with its connection, so it is never idle. `capabilities` are what the client can be asked;
    `log_level` is None until the client sets one; `subscriptions` are resource URIs.
    """

    id: SessionId
    owner: str
    account: str
    standing: bool = False
    state: SessionState = SessionState.CREATED
    version: str = ""
    capabilities: ClientCapabilities = NO_CAPABILITIES
    client_name: str = ""
    client_version: str = ""
    log_level: str | None = None
    subscriptions: set[str] = field(default_factory=set)
    _events: list[DomainEvent] = field(default_factory=list, repr=False)

    def initialize(self, version: str, capabilities: ClientCapabilities, client_name: str, client_version: str) -> None:
        """Record the protocol `version` agreed upon and what the client said of itself, its names shortened."""
        self._step(SessionStep.INITIALIZE)
        self.version = version
        self.capabilities = capabilities
        self.client_name = label(client_name)
        self.client_version = label(client_version)
        self._events.append(SessionCreated(self.id, version))

    def confirm(self) -> None:
        """Record that the client is ready for normal operation."""
        self._step(SessionStep.CONFIRM)
        self._events.append(SessionInitialized(self.id))

    def close(self) -> None:
        """Begin the end: calls in flight finish, new ones are refused."""
        self._step(SessionStep.CLOSE)

    def finish(self) -> None:
        """End the session for good."""
        self._step(SessionStep.FINISH)
        self._events.append(SessionClosed(self.id))

    def collect_events(self) -> list[DomainEvent]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def _step(self, step: SessionStep) -> None:
        following = TRANSITIONS.get((self.state, step))
        if following is None:
            raise InvalidTransition(f"The session is {self.state.value}: it cannot {step.value} now")
        self.state = following
