"""What has happened, as frozen facts in the past tense.

Events carry names and figures, never arguments or contents. A `Change` is an event that a client may want to hear of.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tfo_mcp.domain.ids import ConversationId, MessageId, SessionId

Topic = Literal["tools", "prompts", "resources", "resource"]


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that has happened."""


@dataclass(frozen=True, slots=True)
class SessionCreated(DomainEvent):
    """A client has said hello, in a version of the protocol."""

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
    """A tool has run to a result."""

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
    """A conversation with the language model has begun."""

    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class MessageAdded(DomainEvent):
    """A conversation has grown by one message."""

    conversation_id: ConversationId
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class AuthenticationDecided(DomainEvent):
    """Somebody on the network was let in or refused; `method` is how it is known: key, token, anonymous or none."""

    allowed: bool
    method: str


@dataclass(frozen=True, slots=True)
class RateLimitDecided(DomainEvent):
    """A call was within a limit, or beyond it."""

    allowed: bool
    policy: str


@dataclass(frozen=True, slots=True)
class SandboxRefused(DomainEvent):
    """Somebody has asked for a file or a command that is out of reach; `place` is files or commands."""

    place: str


@dataclass(frozen=True, slots=True)
class SettingsReloaded(DomainEvent):
    """The settings were read anew, and hold or were refused."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Change(DomainEvent):
    """Something that clients may have cached is no longer so."""

    topic: ClassVar[Topic]


@dataclass(frozen=True, slots=True)
class ToolRegistered(Change):
    """A tool has been added or replaced."""

    topic = "tools"
    name: str


@dataclass(frozen=True, slots=True)
class ToolRemoved(Change):
    """A tool has been taken away."""

    topic = "tools"
    name: str


@dataclass(frozen=True, slots=True)
class PromptRegistered(Change):
    """A prompt has been added or replaced."""

    topic = "prompts"
    name: str


@dataclass(frozen=True, slots=True)
class PromptRemoved(Change):
    """A prompt has been taken away."""

    topic = "prompts"
    name: str


@dataclass(frozen=True, slots=True)
class ResourceRegistered(Change):
    """A resource or template has been added or replaced."""

    topic = "resources"
    uri: str


@dataclass(frozen=True, slots=True)
class ResourceRemoved(Change):
    """A resource or template has been taken away."""

    topic = "resources"
    uri: str


@dataclass(frozen=True, slots=True)
class ResourceUpdated(Change):
    """The contents of a resource are no longer what they were."""

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
