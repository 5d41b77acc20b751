"""Domain events: immutable facts, named in the past tense.

Events contain names and numbers, never arguments or contents. A `Change` is an event that clients can be notified of.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tfo_mcp.domain.ids import ConversationId, MessageId, SessionId

Topic = Literal["tools", "prompts", "resources", "resource"]


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Base class of domain events."""


@dataclass(frozen=True, slots=True)
class SessionCreated(DomainEvent):
    """A client has initialized a session with a protocol version."""

    session_id: SessionId
    version: str


@dataclass(frozen=True, slots=True)
class SessionInitialized(DomainEvent):
    """A client has confirmed the handshake; its session is ready."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class SessionClosed(DomainEvent):
    """A session has ended."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class ToolExecuted(DomainEvent):
    """A tool has run; `is_error` if it failed."""

    name: str
    is_error: bool
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class ResourceRead(DomainEvent):
    """A resource has been read."""

    uri: str


@dataclass(frozen=True, slots=True)
class PromptRendered(DomainEvent):
    """A prompt has been rendered."""

    name: str


@dataclass(frozen=True, slots=True)
class ConversationCreated(DomainEvent):
    """A conversation with the language model was created."""

    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class MessageAdded(DomainEvent):
    """A message was added to a conversation."""

    conversation_id: ConversationId
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class AuthenticationDecided(DomainEvent):
    """An authentication succeeded or failed; `method` is key, token, anonymous or none."""

    allowed: bool
    method: str


@dataclass(frozen=True, slots=True)
class RateLimitDecided(DomainEvent):
    """A call was allowed or rejected by a rate limit."""

    allowed: bool
    policy: str


@dataclass(frozen=True, slots=True)
class SandboxRefused(DomainEvent):
    """The sandbox denied access to a file or command; `place` is files or commands."""

    place: str


@dataclass(frozen=True, slots=True)
class SettingsReloaded(DomainEvent):
    """The settings were reloaded; `applied` is False if they were rejected."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Change(DomainEvent):
    """A change that invalidates data that clients may have cached."""

    topic: ClassVar[Topic]


@dataclass(frozen=True, slots=True)
class ToolRegistered(Change):
    """A tool has been added or replaced."""

    topic = "tools"
    name: str


@dataclass(frozen=True, slots=True)
class ToolRemoved(Change):
    """A tool has been removed."""

    topic = "tools"
    name: str


@dataclass(frozen=True, slots=True)
class PromptRegistered(Change):
    """A prompt has been added or replaced."""

    topic = "prompts"
    name: str


@dataclass(frozen=True, slots=True)
class PromptRemoved(Change):
    """A prompt has been removed."""

    topic = "prompts"
    name: str


@dataclass(frozen=True, slots=True)
class ResourceRegistered(Change):
    """A resource or template has been added or replaced."""

    topic = "resources"
    uri: str


@dataclass(frozen=True, slots=True)
class ResourceRemoved(Change):
    """A resource or template has been removed."""

    topic = "resources"
    uri: str


@dataclass(frozen=True, slots=True)
class ResourceUpdated(Change):
    """The contents of a resource have changed."""

    topic = "resource"
    uri: str


CHANGES: tuple[type[Change], ...] = (
    ToolRegistered,
    ToolRemoved,
    PromptRegistered,
    PromptRemoved,
    ResourceRegistered,
    ResourceRemoved,
    ResourceUpdated,
)
