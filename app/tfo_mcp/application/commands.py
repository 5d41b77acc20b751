"""Commands: messages of the application bus that change state, named by a verb. Handlers are in `handlers`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfo_mcp.application.bus import Command
from tfo_mcp.application.changes import ChangeFeed, ChangeFilter
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import ModelReply
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import ClientCapabilities
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.tool import Tool, ToolResult


@dataclass(frozen=True, slots=True)
class InitializeSession(Command[Session]):
    """Open a session of `owner` with protocol `version`, charged to `account`.

    A `standing` session has its own connection and ends with it.
    """

    owner: str
    account: str
    version: str
    capabilities: ClientCapabilities
    client_name: str
    client_version: str
    standing: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmSession(Command[None]):
    """Mark a session as ready: the client has sent notifications/initialized."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class DrainSession(Command[None]):
    """Reject new requests of a session; requests in flight may finish before CloseSession."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class CloseSession(Command[None]):
    """Close a session and release everything that belongs to it; a no-op if it has ended."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class ReapSessions(Command[None]):
    """Close the sessions whose idle timeout has expired."""


@dataclass(frozen=True, slots=True)
class SetLogLevel(Command[None]):
    """Set the minimum level of log messages that the session's client receives."""

    session_id: SessionId
    level: str


@dataclass(frozen=True, slots=True)
class SubscribeResource(Command[None]):
    """Notify the session's client when the resource changes."""

    session_id: SessionId
    uri: str


@dataclass(frozen=True, slots=True)
class UnsubscribeResource(Command[None]):
    """Stop notifying the session's client about the resource."""

    session_id: SessionId
    uri: str


@dataclass(frozen=True, slots=True)
class RegisterTool(Command[None]):
    """Add a tool, replacing a tool with the same name."""

    tool: Tool


@dataclass(frozen=True, slots=True)
class RemoveTool(Command[None]):
    """Remove a tool."""

    name: str


@dataclass(frozen=True, slots=True)
class ExecuteTool(Command[ToolResult]):
    """Run a tool that `GetTool` returned for the caller of `context`."""

    tool: Tool
    arguments: Mapping[str, Any]
    context: RequestContext


@dataclass(frozen=True, slots=True)
class RegisterPrompt(Command[None]):
    """Add a prompt, replacing a prompt with the same name."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class RemovePrompt(Command[None]):
    """Remove a prompt."""

    name: str


@dataclass(frozen=True, slots=True)
class RegisterResource(Command[None]):
    """Add a resource or template, replacing one with the same URI or URI template."""

    resource: Resource | ResourceTemplate


@dataclass(frozen=True, slots=True)
class RemoveResource(Command[None]):
    """Remove a resource or template."""

    uri: str


@dataclass(frozen=True, slots=True)
class AnnounceUpdate(Command[None]):
    """Notify subscribers that a resource's contents have changed."""

    uri: str


@dataclass(frozen=True, slots=True)
class SendMessage(Command[ModelReply]):
    """Send a message to the language model in a new conversation and return its reply."""

    caller: Caller
    text: str
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key; `text` is the secret key itself, which is not stored."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateKey(Command[IssuedKey]):
    """Create an API key. Defaults: the read-only scopes, and no expiry."""

    name: str
    scopes: Collection[str] = ()
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RevokeKey(Command[ApiKey]):
    """Revoke an API key immediately."""

    key_id: str


@dataclass(frozen=True, slots=True)
class RotateKey(Command[IssuedKey]):
    """Create a replacement for an API key; the old key stays valid for `grace_seconds`."""

    key_id: str
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class WatchChanges(Command[ChangeFeed]):
    """Open a feed of future changes that match `filter`; the receiver must close it.

    The watched resources are charged to `account`.
    """

    filter: ChangeFilter
    caller: Caller
    account: str


@dataclass(frozen=True, slots=True)
class Authenticate(Command[Caller]):
    """Authenticate a caller by API key, by token, or as anonymous; failures are counted.

    `is_forwarded`: a proxy forwarded the request, so the stricter rule for anonymous access applies.
    """

    credential: str | None = field(repr=False)
    transport: str
    address: str | None
    is_forwarded: bool = False
