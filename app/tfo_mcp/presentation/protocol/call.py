"""Call: one request in flight, and the interfaces for sending messages back to its client.

Owns the state of a request (`Call`), the interface of its output (`Outlet`) and the strategy interface of the protocol
eras (`Era`). Knows no method, socket or store.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, nextafter
from secrets import token_hex
from time import monotonic
from typing import Any, NamedTuple, Protocol

import anyio

from tfo_mcp.application.context import LOG_LEVELS, LogLevel
from tfo_mcp.application.ports import Trace
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.accounts import account_of
from tfo_mcp.domain.errors import Kind, OperationFailed
from tfo_mcp.domain.events import Change
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import Answer, CapabilityName, ClientCapabilities, ClientRoot, Question
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.tool import Tool, ToolResult
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Request, RequestId, Response
from tfo_mcp.presentation.protocol import questions as question_rendering
from tfo_mcp.presentation.protocol.faults import Fault
from tfo_mcp.presentation.protocol.revisions import Feature, Revision

_NOTIFICATIONS_PER_SECOND = 200.0
_LEAST_STEP = 1e-6  # of progress that the server reports by itself
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
    """What the transport knows about the origin of a frame. A tuple for speed: every HTTP request creates one.

    `headers` maps lower-case names to all their values; `address` is the client's address, None if the transport has
    none.
    """

    transport: Transport
    caller: Caller
    headers: Mapping[str, Sequence[str]] = _NO_HEADERS
    address: str | None = None

    @property
    def account(self) -> str:
        """The account that is charged for the resources that this client uses."""
        return account_of(self.caller, self.address)

    def header(self, name: str) -> str | None:
        """Return a header's value, None if it is missing; repeated values are joined by commas (RFC 9110, 5.3)."""
        values = self.headers.get(name)
        if values is None:
            return None
        return values[0] if len(values) == 1 else ", ".join(values)


class Outcome(StrEnum):
    """How a call ended; calls that failed with an error have the `Kind` of the error instead."""

    OK = "ok"
    TOOL_ERROR = "tool_error"
    TOOL_INTERNAL_ERROR = "tool_internal_error"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    SHUTTING_DOWN = "shutting_down"
    REVOKED = "revoked"


class Unreachable(OperationFailed):
    """The connection cannot carry requests to the client."""

    def __init__(self) -> None:
        super().__init__("The server cannot send requests to the client on this connection")


class Outlet:
    """Sends the responses and notifications for one received frame to the client.

    The base class drops notifications and rejects server requests. Transports override what they support.
    """

    __slots__ = ()

    def begin(self, revision: Revision) -> None:
        """Prepare for a request of this revision, before it starts.

        Raises:
            Refusal: the server is draining and starts no more requests.
        """

    async def drained(self) -> None:
        """Wait until the client has taken the pending output."""

    async def require_stream(self) -> None:
        """Ensure that messages can reach the client before the result, as subscriptions need it.

        Raises:
            Fault: this outlet cannot stream.
        """

    async def notify(self, frame: bytes) -> None:
        """Send a notification that belongs to the request; best-effort."""

    async def request(self, frame: bytes) -> None:
        """Send a request to the client.

        Raises:
            Unreachable: this outlet cannot carry requests.
        """
        raise Unreachable

    async def disconnect(self, retry_ms: int) -> None:
        """Close the connection early if the client can resume; `retry_ms` is the reconnection delay to suggest."""

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Send the response; `fault` is the error that it reports, None for a result."""
        raise NotImplementedError

    async def no_reply(self) -> None:
        """Finish without a response: the frame contained no request, or the request was cancelled."""


@dataclass(slots=True)
class _Expected:
    arrived: anyio.Event = field(default_factory=anyio.Event)
    response: Response | None = None


class Correlation:
    """Correlates the messages of one conversation: its session, and pending server requests with their responses.

    A `standing` conversation has its own connection, and its session ends with that connection. `client_roots` are the
    directories that its client has listed, None before it was asked; `root_changes` counts the announced changes.
    """

    def __init__(self, session_id: SessionId | None = None, *, standing: bool = False) -> None:
        self.session_id = session_id
        self.standing = standing
        self.client_roots: tuple[ClientRoot, ...] | None = None
        self.root_changes = 0
        self._expected: dict[RequestId, _Expected] = {}
        self._prefix = ""
        self._count = 0

    def forget_roots(self) -> None:
        """Ask for the client's directories again when they are needed: the client has announced a change."""
        self.client_roots = None
        self.root_changes += 1

    def next_id(self) -> str:
        """Return an id for a server request, unique in the session across replicas."""
        self._prefix = self._prefix or token_hex(4)
        self._count += 1
        return f"{self._prefix}-{self._count}"

    async def response(self, request_id: str) -> Response:
        """Wait for the client's response to a request registered with `expect`."""
        expected = self._expected[request_id]
        await expected.arrived.wait()
        assert expected.response is not None
        return expected.response

    def expect(self, request_id: str) -> None:
        """Register a request id before the request is sent."""
        self._expected[request_id] = _Expected()

    def forget(self, request_id: str) -> None:
        """Remove a registered request id; a later response to it is ignored."""
        self._expected.pop(request_id, None)

    def settle(self, response: Response) -> bool:
        """Deliver a response to its waiter; return False if no request waits for it."""
        expected = self._expected.get(response.id) if response.id is not None else None
        if expected is None or expected.response is not None:
            return False
        expected.response = response
        expected.arrived.set()
        return True


class Era(Protocol):
    """Strategy for a group of revisions: with a handshake and sessions, or stateless."""

    async def open(self, request: Request, facts: Facts, outlet: Outlet, correlation: Correlation) -> "Call":
        """Validate the request and return its call.

        Raises:
            Refusal: the request is rejected; carries the fault and the revision of the error response.
        """

    async def check(self, call: "Call") -> None:
        """Run the checks that need an authenticated caller and the called tool.

        Raises:
            DomainError, Fault: the call is rejected.
        """

    async def ask(self, call: "Call", questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Return the client's answers to questions of a running call, by the keys of the questions."""

    def finish(self, call: "Call", result: Mapping[str, Any], *, ttl_ms: int = 0, shared: bool = False) -> bytes:
        """Return the result as JSON of the call's revision.

        Args:
            ttl_ms: cache lifetime in milliseconds, for revisions with cache hints.
            shared: whether shared caches may store the result.
        """

    def finish_encoded(self, members: bytes) -> bytes:
        """Return a complete result as JSON, given its members as JSON without braces, which are not checked."""

    def announce(self, change: Change, tag: RequestId | None = None) -> bytes:
        """Return the notification frame that reports a change; `tag` is the subscription's id, if it has one."""


@dataclass(slots=True)
class Call:
    """One request in flight. Implements the application's `Channel` to the client.

    `outcome` is how the call ended, for logs and metrics; `stopped` is why it was stopped, if it was. `tool` is the
    called tool, set by the authorization middleware, and `result` what it returned. `serve` is the dispatcher that
    serves the call, `parent` the call on whose behalf it is made.
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
    carried: dict[str, Any] = field(default_factory=dict)
    result: ToolResult | None = None
    trace: Trace | None = None
    serve: "Callable[[Call], Awaitable[bytes]] | None" = None
    parent: "Call | None" = None
    is_settled: bool = False
    ends_session: bool = False
    outcome: Outcome | Kind = Outcome.OK
    stopped: Outcome | None = None
    id: RequestId = field(init=False)
    method: str = field(init=False)
    params: Mapping[str, Any] = field(init=False)
    caller: Caller = field(init=False)
    _last_progress: float | None = None
    _last_total: float | None = None
    _reported_at: float = -inf
    _spent: float = 0.0

    def __post_init__(self) -> None:
        """Copy frequently read attributes of the request and its facts."""
        self.id, self.method, self.params = self.request
        self.caller = self.facts.caller

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed."""
        return self.is_settled or self.stopped is not None or (self.parent is not None and self.parent.cancelled)

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client declared the capability, or the extension with this identifier."""
        return self.capabilities.supports(capability)

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """Return the settings that the client declared for an extension, None if it does not support it."""
        return self.capabilities.extension(identifier)

    @property
    def _progress_token(self) -> str | int | None:
        """The token that the client gave to be sent progress, None if it gave none."""
        token = self.meta.get("progressToken")
        return None if not isinstance(token, str | int) or isinstance(token, bool) else token

    def is_quiet(self, since: float) -> bool:
        """Return whether the client waits for progress, and has been sent none since a monotonic time."""
        return self._reported_at < since and not self.cancelled and self._progress_token is not None

    async def report_elapsed(self, seconds: int) -> None:
        """Report that the call still runs, without getting ahead of the progress that its function reports."""
        last = self._last_progress or 0.0
        value = max(last + _LEAST_STEP, nextafter(last, inf))
        total = None if self._last_total is not None and value > self._last_total else self._last_total
        await self._send_progress(value, total, f"Running for {seconds} s")

    async def progress(self, value: float, total: float | None, message: str | None) -> None:
        """Send progress if the client gave a token; values that do not increase or exceed the rate are dropped."""
        if self._progress_token is None or self.cancelled:
            return
        if self._last_progress is not None and value <= self._last_progress:
            return
        if not self._may_send() and (total is None or value < total):
            return
        await self._send_progress(value, total, message)

    async def _send_progress(self, value: float, total: float | None, message: str | None) -> None:
        self._last_progress, self._last_total, self._reported_at = value, total, monotonic()
        params: dict[str, Any] = {"progressToken": self._progress_token, "progress": value}
        if total is not None:
            params["total"] = total
        if message is not None and self.revision.has(Feature.PROGRESS_MESSAGE):
            params["message"] = message
        await self.outlet.notify(jsonrpc.encode_notification("notifications/progress", params))

    async def log(self, level: LogLevel, data: object, logger: str | None) -> None:
        """Send a log message if the client's log level includes it; messages above the rate are dropped."""
        if self.log_level is None or self.cancelled:
            return
        if LOG_LEVELS.index(level) < LOG_LEVELS.index(self.log_level) or not self._may_send():
            return
        params: dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        await self.outlet.notify(jsonrpc.encode_notification("notifications/message", params))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Return the client's answers to questions, asked in the way of the era.

        Raises:
            MissingCapability: the client did not declare a capability that a question needs.
        """
        for question in questions.values():
            question_rendering.require(self.capabilities, question, self.revision)
        return await self.era.ask(self, questions)

    async def release_stream(self, retry_ms: int) -> None:
        """Close the call's connection early; the client resumes after `retry_ms` milliseconds."""
        await self.outlet.disconnect(retry_ms)

    def _may_send(self) -> bool:
        now = monotonic()
        self._spent = max(self._spent, now - _NOTIFICATION_BURST / _NOTIFICATIONS_PER_SECOND)
        if self._spent > now:
            return False
        self._spent += 1 / _NOTIFICATIONS_PER_SECOND
        return True
