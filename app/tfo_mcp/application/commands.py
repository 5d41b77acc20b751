"""Commands: what can be changed, as data. The verb is in the name, the handler in `handlers`."""

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
    """Open a session for `owner`, speaking `version` and charged to `account`; a `standing` one has a connection."""

    owner: str
    account: str
    version: str
    capabilities: ClientCapabilities
    client_name: str
    client_version: str
    standing: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmSession(Command[None]):
    """Make a session ready: the client has seen the answer to its initialization."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class DrainSession(Command[None]):
    """Refuse new requests of a session; those in flight finish before CloseSession."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class CloseSession(Command[None]):
    """End a session and all that hangs on it; one that has ended already is no error."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class ReapSessions(Command[None]):
    """End the sessions that nobody has used for too long."""


@dataclass(frozen=True, slots=True)
class SetLogLevel(Command[None]):
    """Send the session's client log messages of this level and above."""

    session_id: SessionId
    level: str


@dataclass(frozen=True, slots=True)
class SubscribeResource(Command[None]):
    """Tell the session's client when the resource changes."""

    session_id: SessionId
    uri: str


@dataclass(frozen=True, slots=True)
class UnsubscribeResource(Command[None]):
    """Stop telling the session's client about the resource."""

    session_id: SessionId
    uri: str


@dataclass(frozen=True, slots=True)
class RegisterTool(Command[None]):
    """Add a tool, in place of one of the same name."""

    tool: Tool


@dataclass(frozen=True, slots=True)
class RemoveTool(Command[None]):
    """Take a tool away."""

    name: str


@dataclass(frozen=True, slots=True)
class ExecuteTool(Command[ToolResult]):
    """Run a tool that `GetTool` has returned for the caller of `context`."""

    tool: Tool
    arguments: Mapping[str, Any]
    context: RequestContext


@dataclass(frozen=True, slots=True)
class RegisterPrompt(Command[None]):
    """Add a prompt, in place of one of the same name."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class RemovePrompt(Command[None]):
    """Take a prompt away."""

    name: str


@dataclass(frozen=True, slots=True)
class RegisterResource(Command[None]):
    """Add a resource or a template, in place of one of the same URI."""

    resource: Resource | ResourceTemplate


@dataclass(frozen=True, slots=True)
class RemoveResource(Command[None]):
    """Take a resource or a template away."""

    uri: str


@dataclass(frozen=True, slots=True)
class AnnounceUpdate(Command[None]):
    """Tell subscribers that a resource's contents have changed."""

    uri: str


@dataclass(frozen=True, slots=True)
class SendMessage(Command[ModelReply]):
    """Say something to the language model in a new conversation and return its answer."""

    caller: Caller
    text: str
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key; `text` is the key itself, which is kept nowhere."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateKey(Command[IssuedKey]):
    """Make an API key; without scopes it reads, without a lifetime it does not expire."""

    name: str
    scopes: Collection[str] = ()
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RevokeKey(Command[ApiKey]):
    """End an API key at once."""

    key_id: str


@dataclass(frozen=True, slots=True)
class RotateKey(Command[IssuedKey]):
    """Make an API key in the place of another, which is good for `grace_seconds` more."""

    key_id: str
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class WatchChanges(Command[ChangeFeed]):
    """Open a feed of the changes that `filter` lets through, from now on, for this caller; the receiver closes it.

    Its resources are charged to `account`.
    """

    filter: ChangeFilter
    caller: Caller
    account: str


@dataclass(frozen=True, slots=True)
class Authenticate(Command[Caller]):
    """Authenticate a caller by an API key, a token, or nothing, and count a failure.

    `is_forwarded` says that a request without credentials has come through a proxy.
    """

    credential: str | None = field(repr=False)
    transport: str
    address: str | None
    is_forwarded: bool = False
