"""The Session aggregate: the negotiated state of one handshake-era client and its lifecycle.

The table TRANSITIONS defines the lifecycle; a step that is not in the table raises. Knows no protocol, store or clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tfo_mcp.domain.errors import InvalidTransition
from tfo_mcp.domain.events import DomainEvent, SessionClosed, SessionCreated, SessionInitialized
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import NO_CAPABILITIES, ClientCapabilities
from tfo_mcp.domain.text import label


class SessionState(StrEnum):
    """Lifecycle state of a session."""

    CREATED = "created"
    INITIALIZING = "initializing"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionStep(StrEnum):
    """Lifecycle step of a session."""

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

    `owner` is the caller that opened it; to other callers the session does not exist. `account` is charged for it. A
    `standing` session ends with its connection, so it is never idle. `capabilities` are the client's declared
    capabilities. `log_level` is None until the client sets one; `subscriptions` are resource URIs.
    `edition` counts the changes that a store outside the process has saved, and is the store's.
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
    edition: int = field(default=0, compare=False)
    _events: list[DomainEvent] = field(default_factory=list, repr=False)

    def initialize(self, version: str, capabilities: ClientCapabilities, client_name: str, client_version: str) -> None:
        """Record the negotiated protocol `version` and the client's capabilities, name and version (shortened)."""
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
        """Start closing: calls in flight may finish, new ones are rejected."""
        self._step(SessionStep.CLOSE)

    def finish(self) -> None:
        """Close the session finally."""
        self._step(SessionStep.FINISH)
        self._events.append(SessionClosed(self.id))

    def copy(self) -> "Session":
        """Return a session with the same state, which changes independently; it has no events."""
        return Session(  # `replace` looks at every field, which takes longer than all else that a store does
            self.id,
            self.owner,
            self.account,
            self.standing,
            self.state,
            self.version,
            self.capabilities,
            self.client_name,
            self.client_version,
            self.log_level,
            set(self.subscriptions),
            self.edition,
        )

    def document(self) -> dict[str, Any]:
        """Return the state as plain JSON values, for stores outside this process."""
        names = self.capabilities.__dataclass_fields__  # `asdict` copies each value, which takes longer than all else
        capabilities = {name: getattr(self.capabilities, name) for name in names}
        settings = capabilities.pop("extension_settings")  # earlier versions refuse capabilities that they do not know
        return {
            "id": self.id,
            "owner": self.owner,
            "account": self.account,
            "standing": self.standing,
            "state": self.state.value,
            "version": self.version,
            "capabilities": capabilities,
            "extension_settings": settings,
            "client_name": self.client_name,
            "client_version": self.client_version,
            "log_level": self.log_level,
            "subscriptions": sorted(self.subscriptions),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Session":
        """Return the session that `document` described; unknown members are ignored."""
        values = {each.name: document[each.name] for each in fields(cls) if each.name in document}
        values |= {
            "id": SessionId(document["id"]),
            "state": SessionState(document["state"]),
            "capabilities": _capabilities_of(document),
            "subscriptions": set(document["subscriptions"]),
        }
        return cls(**values)

    @property
    def events(self) -> Sequence[DomainEvent]:
        """The events that nobody has collected yet, oldest first."""
        return self._events

    def collect_events(self) -> list[DomainEvent]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def _step(self, step: SessionStep) -> None:
        following = TRANSITIONS.get((self.state, step))
        if following is None:
            raise InvalidTransition(f"The session is {self.state.value}: it cannot {step.value} now")
        self.state = following


def _capabilities_of(document: Mapping[str, Any]) -> ClientCapabilities:
    known = {each.name for each in fields(ClientCapabilities)}
    values = {name: value for name, value in document["capabilities"].items() if name in known}
    values["extensions"] = tuple(values.get("extensions", ()))
    values["extension_settings"] = document.get("extension_settings", "")
    return ClientCapabilities(**values)
