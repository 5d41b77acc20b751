"""Call: one request on its way through the server, and the way back to its client.

Owns the facts of a request after it was opened, and the outlets that notifications and answers leave by. An `Era` is
the strategy that opened it. Knows no method, no socket and no store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import token_hex
from time import monotonic
from typing import Any, NamedTuple, Protocol

import anyio

from tfo_mcp.application.context import LOG_LEVELS, LogLevel
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.accounts import account_of
from tfo_mcp.domain.errors import Kind, OperationFailed
from tfo_mcp.domain.events import Change
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import Answer, CapabilityName, ClientCapabilities, Question
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.tool import Tool
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Request, RequestId, Response
from tfo_mcp.presentation.protocol import questions as wire_questions
from tfo_mcp.presentation.protocol.faults import Fault
from tfo_mcp.presentation.protocol.revisions import Feature, Revision

_NOTIFICATIONS_PER_SECOND = 200.0
_NOTIFICATION_BURST = 200


_NO_HEADERS: Mapping[str, Sequence[str]] = {}


class Transport(NamedTuple):
    """A transport as logs, the audit log and telemetry describe it.

    `network_transport` and `network_protocol` are the OpenTelemetry attributes of these names. With `mirrors_messages`
    each message comes with HTTP headers that repeat parts of it, and these are checked (Streamable HTTP).
    """

    name: str
    network_transport: str
    network_protocol: str | None = None
    mirrors_messages: bool = False


class Facts(NamedTuple):
    """What a transport knows about the origin of a frame. A tuple, because each HTTP request makes one.

    `headers` maps lower-case names to all their values; `address` is the client's, where it has one.
    """

    transport: Transport
    caller: Caller
    headers: Mapping[str, Sequence[str]] = _NO_HEADERS
    address: str | None = None

    @property
    def account(self) -> str:
        """The account that is charged for what this client makes the server keep or do."""
        return account_of(self.caller, self.address)

    def header(self, name: str) -> str | None:
        """Return a header's value, None when it is missing; several values become one list (RFC 9110, 5.3)."""
        values = self.headers.get(name)
        if values is None:
            return None
        return values[0] if len(values) == 1 else ", ".join(values)


class Outcome(StrEnum):
    """How a call ended that was not answered with an error; the `Kind` of the error stands for all others."""

    OK = "ok"
    TOOL_ERROR = "tool_error"
    TOOL_INTERNAL_ERROR = "tool_internal_error"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    SHUTTING_DOWN = "shutting_down"
    REVOKED = "revoked"


class Unreachable(OperationFailed):
    """The client cannot be asked on this connection."""

    def __init__(self) -> None:
        super().__init__("The client cannot be asked anything on this connection")


class Outlet:
    """The way back to the client for one frame's answers: a base class that drops or refuses what it cannot carry."""

    __slots__ = ()

    def begin(self, revision: Revision) -> None:
        """Prepare for a request of this revision; what follows is for its client.

        Raises:
            Refusal: the server begins no more requests.
        """

    async def drained(self) -> None:
        """Wait until the client has taken the pending output."""

    async def require_stream(self) -> None:
        """Make sure that messages that are sent long before a result reach the client.

        Raises:
            Fault: they cannot.
        """

    async def notify(self, frame: bytes) -> None:
        """Send a notification that belongs to the request, or drop it."""

    async def request(self, frame: bytes) -> None:
        """Send a request of the server's.

        Raises:
            Unreachable: this outlet cannot carry requests.
        """
        raise Unreachable

    async def disconnect(self, retry_ms: int) -> None:
        """End the connection early where the client can come back for the rest."""

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Send the answer; `fault` is the error that it reports, None for a result."""
        raise NotImplementedError

    async def no_reply(self) -> None:
        """Finish without an answer: the frame held no request, or the request was cancelled."""


@dataclass(slots=True)
class _Expected:
    arrived: anyio.Event = field(default_factory=anyio.Event)
    response: Response | None = None


class Correlation:
    """What ties the messages of one conversation together: its session, and our requests that wait for answers.

    A `standing` conversation has a connection of its own, with which its session ends.
    """

    def __init__(self, session_id: SessionId | None = None, *, standing: bool = False) -> None:
        self.session_id = session_id
        self.standing = standing
        self._expected: dict[RequestId, _Expected] = {}
        self._prefix = ""
        self._count = 0

    def next_id(self) -> str:
        """Return an id for a request of ours, unique in the session on every replica."""
        self._prefix = self._prefix or token_hex(4)
        self._count += 1
        return f"{self._prefix}-{self._count}"

    async def response(self, request_id: str) -> Response:
        """Wait for the client's answer to an expected request."""
        expected = self._expected[request_id]
        await expected.arrived.wait()
        assert expected.response is not None
        return expected.response

    def expect(self, request_id: str) -> None:
        """Be ready for an answer to the request of that id, which is about to be sent."""
        self._expected[request_id] = _Expected()

    def forget(self, request_id: str) -> None:
        """Stop being ready for it."""
        self._expected.pop(request_id, None)

    def settle(self, response: Response) -> bool:
        """Hand an answer to who waits for it; False when nobody does."""
        expected = self._expected.get(response.id) if response.id is not None else None
        if expected is None or expected.response is not None:
            return False
        expected.response = response
        expected.arrived.set()
        return True


class Era(Protocol):
    """How requests of one kind of revisions are opened, checked, asked back, finished, and told of changes."""

    async def open(self, request: Request, facts: Facts, outlet: Outlet, correlation: Correlation) -> "Call":
        """Return the call that the request is.

        Raises:
            Refusal: it is none; carries the fault and the revision to tell it in.
        """

    async def check(self, call: "Call") -> None:
        """Check what can be checked only once the caller is known.

        Raises:
            DomainError, Fault: the call is not to run.
        """

    async def ask(self, call: "Call", questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Put questions to the client of a running call."""

    def finish(self, call: "Call", result: Mapping[str, Any], *, ttl_ms: int = 0, shared: bool = False) -> bytes:
        """Return the result as JSON of the call's revision, with hints for caches where they belong."""

    def announce(self, change: Change, tag: RequestId | None = None) -> bytes:
        """Return the notification that tells of a change; `tag` is the subscription's id where there is one."""


@dataclass(slots=True)
class Call:
    """One request being served. It is the application's `Channel` back to the client.

    `outcome` says how it ended; `stopped` says why it was interrupted. `tool` is the tool that it calls, from
    authorization on.
    """

    request: Request
    era: Era
    revision: Revision
    facts: Facts
    outlet: Outlet
    correlation: Correlation
    capabilities: ClientCapabilities
    meta: Mapping[str, Any]
    log_level: str | None
    session: Session | None = None
    tool: Tool | None = None
    answers: Mapping[str, Any] | None = None
    used_answers: frozenset[str] = frozenset()
    is_settled: bool = False
    ends_session: bool = False
    outcome: Outcome | Kind = Outcome.OK
    stopped: Outcome | None = None
    id: RequestId = field(init=False)
    method: str = field(init=False)
    params: Mapping[str, Any] = field(init=False)
    caller: Caller = field(init=False)
    _last_progress: float | None = None
    _spent: float = 0.0

    def __post_init__(self) -> None:
        """Keep at hand what is asked for again and again."""
        self.id, self.method, self.params = self.request
        self.caller = self.facts.caller

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more."""
        return self.is_settled or self.stopped is not None

    def supports(self, capability: CapabilityName) -> bool:
        """Tell whether the client declared the capability for this request."""
        return self.capabilities.supports(capability)

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Send progress if the client gave a token; what does not grow, or comes too fast, is left out."""
        token = self.meta.get("progressToken")
        if not isinstance(token, str | int) or isinstance(token, bool) or self.cancelled:
            return
        if self._last_progress is not None and value <= self._last_progress:
            return
        if not self._may_send() and (total is None or value < total):
            return
        self._last_progress = value
        params: dict[str, Any] = {"progressToken": token, "progress": value}
        if total is not None:
            params["total"] = total
        if message is not None and self.revision.has(Feature.PROGRESS_MESSAGE):
            params["message"] = message
        await self.outlet.notify(jsonrpc.encode_notification("notifications/progress", params))

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Send a log message if the client wants its level; what comes too fast is left out."""
        if self.log_level is None or self.cancelled:
            return
        if LOG_LEVELS.index(level) < LOG_LEVELS.index(self.log_level) or not self._may_send():
            return
        params: dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        await self.outlet.notify(jsonrpc.encode_notification("notifications/message", params))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Put questions to the client, in the way of the era."""
        for question in questions.values():
            wire_questions.require(self.capabilities, question, self.revision)
        return await self.era.ask(self, questions)

    async def release_stream(self, retry_ms: int) -> None:
        """End the connection early."""
        await self.outlet.disconnect(retry_ms)

    def _may_send(self) -> bool:
        now = monotonic()
        self._spent = max(self._spent, now - _NOTIFICATION_BURST / _NOTIFICATIONS_PER_SECOND)
        if self._spent > now:
            return False
        self._spent += 1 / _NOTIFICATIONS_PER_SECOND
        return True
