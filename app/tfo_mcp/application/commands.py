"""Commands: messages of the application bus that change state, named by a verb. Handlers are in `handlers`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import Any

from tfo_mcp.application.bus import Command
from tfo_mcp.application.changes import ChangeFeed, ChangeFilter
from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.ids import ConversationId, SessionId
from tfo_mcp.domain.interaction import ClientCapabilities
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.domain.tool import Tool, ToolResult
from tfo_mcp.value_objects import value_object


@value_object
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


@value_object
class ConfirmSession(Command[None]):
    """Mark a session as ready: the client has sent notifications/initialized."""

    session_id: SessionId


@value_object
class DrainSession(Command[None]):
    """Reject new requests of a session; requests in flight may finish before CloseSession."""

    session_id: SessionId


@value_object
class CloseSession(Command[None]):
    """Close a session and release everything that belongs to it; a no-op if it has ended."""

    session_id: SessionId


@value_object
class ReapSessions(Command[None]):
    """Close the sessions whose idle timeout has expired."""


@value_object
class SetLogLevel(Command[None]):
    """Set the minimum level of log messages that the session's client receives."""

    session_id: SessionId
    level: str


@value_object
class SubscribeResource(Command[None]):
    """Notify the session's client when the resource changes."""

    session_id: SessionId
    uri: str


@value_object
class WatchSubscriptions(Command[None]):
    """Watch in this process, too, the resources that a session has subscribed to, perhaps through another process."""

    session_id: SessionId


@value_object
class UnsubscribeResource(Command[None]):
    """Stop notifying the session's client about the resource."""

    session_id: SessionId
    uri: str


@value_object
class RegisterTool(Command[None]):
    """Add a tool, replacing a tool with the same name."""

    tool: Tool


@value_object
class RemoveTool(Command[None]):
    """Remove a tool."""

    name: str


@value_object
class ExecuteTool(Command[ToolResult]):
    """Run a tool that `GetTool` returned for the caller of `context`."""

    tool: Tool
    arguments: Mapping[str, Any]
    context: RequestContext


@value_object
class RegisterPrompt(Command[None]):
    """Add a prompt, replacing a prompt with the same name."""

    prompt: Prompt


@value_object
class RemovePrompt(Command[None]):
    """Remove a prompt."""

    name: str


@value_object
class RegisterResource(Command[None]):
    """Add a resource or template, replacing one with the same URI or URI template."""

    resource: Resource | ResourceTemplate


@value_object
class RemoveResource(Command[None]):
    """Remove a resource or template."""

    uri: str


@value_object
class AnnounceUpdate(Command[None]):
    """Notify subscribers that a resource's contents have changed."""

    uri: str


@value_object
class ConversationReply:
    """The model's reply: the text of its last message, and the usage of this call and of the whole conversation.

    `stop_reason` is that of the model, or `approval_refused` or `max_turns` if the use of tools has ended the call.
    """

    conversation_id: ConversationId
    text: str
    model: str
    stop_reason: str | None
    usage: TokenUsage
    conversation_usage: TokenUsage


@value_object
class SendMessage(Command[ConversationReply]):
    """Send a message to the language model, in a new conversation or in that of `conversation_id`.

    The message consists of the rendered prompt, the resources (URIs) and the text; at least one of them is given. The
    settings of the model are fixed for a conversation; None selects those it has, or the defaults. `tools` are the
    names of the tools that the model may use, and `max_turns` the maximum number of its replies.
    """

    context: RequestContext
    text: str | None = None
    conversation_id: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    thinking_tokens: int | None = None
    resources: Sequence[str] = ()
    prompt: str | None = None
    prompt_arguments: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[str] = ()
    max_turns: int | None = None


@value_object
class IssuedKey:
    """A new API key; `text` is the secret key itself, which is not stored."""

    key: ApiKey
    text: str = field(repr=False)


@value_object
class CreateKey(Command[IssuedKey]):
    """Create an API key. Defaults: the read-only scopes, and no expiry."""

    name: str
    scopes: Collection[str] = ()
    lifetime_seconds: float | None = None


@value_object
class RevokeKey(Command[ApiKey]):
    """Revoke an API key immediately."""

    key_id: str


@value_object
class RotateKey(Command[IssuedKey]):
    """Create a replacement for an API key; the old key stays valid for `grace_seconds`."""

    key_id: str
    grace_seconds: float


@value_object
class ImportKeys(Command[Sequence[ApiKey]]):
    """Add API keys of another store; those whose id exists stay as they are."""

    keys: Sequence[ApiKey]


@value_object
class WatchChanges(Command[ChangeFeed]):
    """Open a feed of future changes that match `filter`; the receiver must close it.

    The watched resources are charged to `account`.
    """

    filter: ChangeFilter
    caller: Caller
    account: str


@value_object
class Authenticate(Command[Caller]):
    """Authenticate a caller by API key, by token, or as anonymous; failures are counted.

    `is_forwarded`: a proxy forwarded the request, so the stricter rule for anonymous access applies.
    """

    credential: str | None = field(repr=False)
    transport: str
    address: str | None
    is_forwarded: bool = False
