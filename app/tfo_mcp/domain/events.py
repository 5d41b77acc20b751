"""Domain events: immutable facts, named in the past tense.

Events contain names and numbers, never arguments or contents. A `Change` is an event that clients can be notified of.
LOGGED are the types that the event log keeps.
"""

from dataclasses import field
from typing import ClassVar, Literal

from tfo_mcp.domain.ids import ConversationId, MessageId, SessionId
from tfo_mcp.value_objects import value_object

Topic = Literal["tools", "prompts", "resources", "resource"]


@value_object
class DomainEvent:
    """Base class of domain events.

    `aggregate` names what the event is about, and `identity` the field with its id, None if there is only one. Events
    with the same aggregate and id keep their order.
    """

    aggregate: ClassVar[str] = "server"
    identity: ClassVar[str | None] = None


@value_object
class SessionCreated(DomainEvent):
    """A client has initialized a session with a protocol version."""

    aggregate = "session"
    identity = "session_id"
    session_id: SessionId
    version: str


@value_object
class SessionInitialized(DomainEvent):
    """A client has confirmed the handshake; its session is ready."""

    aggregate = "session"
    identity = "session_id"
    session_id: SessionId


@value_object
class SessionClosed(DomainEvent):
    """A session has ended."""

    aggregate = "session"
    identity = "session_id"
    session_id: SessionId


@value_object
class ToolExecuted(DomainEvent):
    """A tool has run; `is_error` if it failed. `caller` is the name of the principal that called it."""

    aggregate = "tool"
    identity = "name"
    name: str
    is_error: bool
    duration_seconds: float
    caller: str = ""


@value_object
class ResourceRead(DomainEvent):
    """A resource has been read; `name` is its URI, or the URI template that it was found by."""

    aggregate = "resource"
    identity = "name"
    name: str


@value_object
class PromptRendered(DomainEvent):
    """A prompt has been rendered."""

    aggregate = "prompt"
    identity = "name"
    name: str


@value_object
class TokensUsed(DomainEvent):
    """A request to the language model was answered; `tokens` counts those of the request and of the answer."""

    aggregate = "model"
    caller: str
    tokens: int


@value_object
class ConversationCreated(DomainEvent):
    """A conversation with the language model was created."""

    aggregate = "conversation"
    identity = "conversation_id"
    conversation_id: ConversationId


@value_object
class ConversationClosed(DomainEvent):
    """A conversation has reached one of its limits and cannot be continued."""

    aggregate = "conversation"
    identity = "conversation_id"
    conversation_id: ConversationId


@value_object
class MessageAdded(DomainEvent):
    """A message was added to a conversation."""

    aggregate = "conversation"
    identity = "conversation_id"
    conversation_id: ConversationId
    message_id: MessageId


@value_object
class KeyCreated(DomainEvent):
    """An API key was created, imported, or made as the replacement of another one."""

    aggregate = "key"
    identity = "key_id"
    key_id: str
    principal: str


@value_object
class KeyRevoked(DomainEvent):
    """An API key was revoked."""

    aggregate = "key"
    identity = "key_id"
    key_id: str
    principal: str


@value_object
class KeyRotated(DomainEvent):
    """An API key was replaced by another one, and expires."""

    aggregate = "key"
    identity = "key_id"
    key_id: str
    principal: str


@value_object
class AuthenticationDecided(DomainEvent):
    """An authentication succeeded or failed; `method` is key, token, anonymous or none."""

    aggregate = "access"
    allowed: bool
    method: str


@value_object
class RateLimitDecided(DomainEvent):
    """A call was allowed or rejected by a rate limit."""

    aggregate = "access"
    allowed: bool
    policy: str


@value_object
class SandboxRefused(DomainEvent):
    """The sandbox denied access to a file or command; `place` is files or commands."""

    aggregate = "access"
    place: str


@value_object
class SettingsReloaded(DomainEvent):
    """The settings were reloaded; `applied` is False if they were rejected."""

    applied: bool


@value_object
class ReloadRequested(DomainEvent):
    """A server has reloaded its settings on request, so its replicas are to reload theirs; `origin` is its id."""

    origin: str


@value_object
class Change(DomainEvent):
    """A change that invalidates data that clients may have cached."""

    topic: ClassVar[Topic]


@value_object
class ToolRegistered(Change):
    """A tool has been added or replaced."""

    topic = "tools"
    name: str


@value_object
class ToolRemoved(Change):
    """A tool has been removed."""

    topic = "tools"
    name: str


@value_object
class PromptRegistered(Change):
    """A prompt has been added or replaced."""

    topic = "prompts"
    name: str


@value_object
class PromptRemoved(Change):
    """A prompt has been removed."""

    topic = "prompts"
    name: str


@value_object
class ResourceRegistered(Change):
    """A resource or template has been added or replaced."""

    topic = "resources"
    uri: str


@value_object
class ResourceRemoved(Change):
    """A resource or template has been removed."""

    topic = "resources"
    uri: str


@value_object
class ResourceUpdated(Change):
    """The contents of a resource have changed.

    `version` names the contents that a watcher has found, equally in all processes that watch; None if a tool announced
    the change.
    """

    topic = "resource"
    uri: str
    version: str | None = field(default=None, compare=False)


CHANGES: tuple[type[Change], ...] = (
    ToolRegistered,
    ToolRemoved,
    PromptRegistered,
    PromptRemoved,
    ResourceRegistered,
    ResourceRemoved,
    ResourceUpdated,
)

SESSION_EVENTS: tuple[type[DomainEvent], ...] = (SessionCreated, SessionInitialized, SessionClosed)
CONVERSATION_EVENTS: tuple[type[DomainEvent], ...] = (ConversationCreated, ConversationClosed, MessageAdded)
LOGGED: tuple[type[DomainEvent], ...] = (
    *SESSION_EVENTS,
    ToolExecuted,
    ResourceRead,
    PromptRendered,
    TokensUsed,
    *CONVERSATION_EVENTS,
    KeyCreated,
    KeyRevoked,
    KeyRotated,
    AuthenticationDecided,
    RateLimitDecided,
    SandboxRefused,
    SettingsReloaded,
)
"""The types that the event log keeps. Of decisions, it keeps refusals only."""
