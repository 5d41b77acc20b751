"""Conversation: one client of one server at one revision, with the same interface over every transport.

Each transport has a subclass that sends a frame and fills the inbox (`stdio_conversation`, `websocket_conversation`).
No SDK: tests write params and read complete replies, as transmitted. Every wait has a deadline.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import (
    META_PREFIX,
    STATELESS,
    JsonObject,
    MessageId,
    initialize_params,
    notification,
    request,
    response,
    same_id,
    stateless_params,
)
from tests.support.inbox import Inbox
from tests.support.official_types import assert_official
from tests.support.processes import Child
from tfo_mcp.presentation.protocol.rendering import mapping

EVERYTHING: Mapping[str, Any] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {},
    "roots": {"listChanged": True},
}
"""The capabilities of a client that can answer every request of the server."""


class Conversation(ABC):
    """One client. The test calls `handshake` itself; the stateless era has none."""

    transport: ClassVar[str]
    ordered: ClassVar[bool]
    """Whether all messages share one channel, so that everything sent before a reply arrives before it."""
    local: ClassVar[bool] = False
    """Whether the client acts as the owner of the process, unlike network clients."""

    def __init__(self, child: Child, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        self.child = child
        """The process of the server."""
        self.revision = revision
        self.capabilities = EVERYTHING if capabilities is None else capabilities
        self.initialized: JsonObject = {}
        """The result of `initialize`."""
        self._inbox = Inbox()
        self._ids = count(1)
        self._requests: defaultdict[str, list[JsonObject]] = defaultdict(list)

    # Implemented by each transport.

    @abstractmethod
    def send_frame(self, frame: bytes, message: object = None) -> None:
        """Send one frame; `message` is its parsed content, if it is well formed."""

    @abstractmethod
    def close(self) -> None:
        """End the conversation and release its resources."""

    def attend(self) -> None:
        """Open the stream for messages outside of requests; a no-op on a shared channel."""
        assert self.ordered

    def cancel(self, identifier: MessageId) -> None:
        """Cancel a request as the revision and the transport define it."""
        self.notify("notifications/cancelled", {"requestId": identifier})

    # The same for all transports.

    @property
    def stateless(self) -> bool:
        """Whether the revision has no handshake."""
        return self.revision == STATELESS

    @property
    def alive(self) -> bool:
        """Whether the connection is open."""
        return not self._inbox.ended

    def send(self, message: object) -> None:
        """Send a message, or a batch of messages."""
        for part in message if isinstance(message, list) else [message]:
            if isinstance(part, dict) and {"id", "method"} <= part.keys():
                self._requests[repr(part["id"])].append(part)
        self.send_frame(json.dumps(message).encode(), message)

    def handshake(self, revision: str | None = None) -> JsonObject:
        """Send `initialize` and `notifications/initialized`; return the result of the former."""
        result = self.initialize(revision)
        self.notify("notifications/initialized")
        return result

    def initialize(self, revision: str | None = None) -> JsonObject:
        """Send `initialize` alone and return its result."""
        params = initialize_params(revision or self.revision, self.capabilities)
        result: JsonObject = self.reply(self.start("initialize", params, bare=True))["result"]
        self.initialized = result
        return result

    def envelope(self, params: Mapping[str, Any] | None, **metadata: Any) -> JsonObject | None:
        """Return params with the metadata of a stateless request; unchanged in the handshake era."""
        if not self.stateless:
            assert not metadata, "Metadata of single requests is of the stateless era"
            return None if params is None else dict(params)
        return stateless_params(params, **{"capabilities": self.capabilities, **metadata})

    def start(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        id: MessageId | None = None,
        bare: bool = False,
        **metadata: Any,
    ) -> MessageId:
        """Send a request and return its id.

        Args:
            method: the method.
            params: the params; None sends no params in the handshake era.
            id: the request's id, or None for the next number.
            bare: whether to send the params without metadata.
            metadata: `capabilities`, `log_level` and `revision` of this stateless request.
        """
        identifier = next(self._ids) if id is None else id
        self.send(request(identifier, method, params if bare else self.envelope(params, **metadata)))
        return identifier

    def call(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> JsonObject:
        """Send a request and return the whole reply; options as for `start`."""
        return self.reply(self.start(method, params, **options))

    def result(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> JsonObject:
        """Send a request and return its result; an error fails the test."""
        return result_of(self.call(method, params, **options))

    def error(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> JsonObject:
        """Send a request and return its error; a result fails the test."""
        return error_of(self.call(method, params, **options))

    def start_tool(self, name: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> MessageId:
        """Send a call of a tool and return its id; a `meta` is added to the params."""
        meta = options.pop("meta", None)
        params = {"name": name, "arguments": dict(arguments or {})} | ({} if meta is None else {"_meta": meta})
        return self.start("tools/call", params, **options)

    def tool(self, name: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> JsonObject:
        """Call a tool and return its result, which may have `isError`; options as for `start_tool`."""
        return result_of(self.reply(self.start_tool(name, arguments, **options)))

    def text(self, name: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Call a tool that succeeds and return the text of its first block."""
        result = self.tool(name, arguments, **options)
        assert not result["isError"], result
        return str(result["content"][0]["text"])

    def everything(self, method: str, member: str, **metadata: Any) -> list[JsonObject]:
        """Return all entries of a list, page by page."""
        entries: list[JsonObject] = []
        cursor: Mapping[str, Any] = {}
        while True:
            page = self.result(method, cursor, **metadata)
            entries.extend(page[member])
            if page.get("nextCursor") is None:
                return entries
            cursor = {"cursor": page["nextCursor"]}

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification."""
        self.send(notification(method, params))

    def answer(self, question: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Answer a request of the server."""
        self.send(response(question["id"], result))

    def reply(self, identifier: MessageId | None, seconds: float = PATIENCE) -> JsonObject:
        """Return the result or error with this id, same in value and type; None stands for null or no id."""

        def fits(message: JsonObject) -> bool:
            return "method" not in message and same_id(message.get("id"), identifier)

        return self._take(fits, f"the reply to {identifier!r}", seconds)

    def server_request(self, method: str, seconds: float = PATIENCE) -> JsonObject:
        """Return the next request of the server for `method`."""

        def fits(message: JsonObject) -> bool:
            return message.get("method") == method and "id" in message

        return self._take(fits, f"a request {method}", seconds)

    def notification(self, method: str, seconds: float = PATIENCE) -> JsonObject:
        """Return the next notification of `method`."""

        def fits(message: JsonObject) -> bool:
            return message.get("method") == method and "id" not in message

        return self._take(fits, f"a notification {method}", seconds)

    def message(self, seconds: float = PATIENCE) -> JsonObject:
        """Return the next message of any kind."""
        return self._take(lambda message: True, "a message", seconds)

    def waiting(self) -> Sequence[JsonObject]:
        """Return the messages that have arrived and that the test has not taken, without waiting."""
        return self._inbox.waiting()

    def waiting_notifications(self, method: str | None = None) -> list[JsonObject]:
        """Return the notifications among `waiting`, of one method or of all."""
        found = (message for message in self.waiting() if "method" in message and "id" not in message)
        return [message for message in found if method in (None, message["method"])]

    def settle(self) -> Sequence[JsonObject]:
        """Send a request, wait for its reply, and return the other messages that have arrived."""
        self.result("server/discover" if self.stateless else "ping")
        return self.waiting()

    def forget(self) -> None:
        """Drop the messages that the test has not taken."""
        self._inbox.forget()

    def await_end(self, seconds: float = PATIENCE) -> Sequence[JsonObject]:
        """Wait until the server has closed the connection and return the messages that the test has not taken."""
        return self._inbox.await_end(seconds)

    def _take(self, fits: Any, what: str, seconds: float) -> JsonObject:
        message: JsonObject = self._inbox.take(fits, f"{what} over {self.transport} at {self.revision}", seconds)
        if "result" in message or "error" in message:
            self._check_reply(message)
        return message

    def _check_reply(self, message: JsonObject) -> None:
        """Forget the request of a reply; hold a result against the official types, unless several had its id."""
        requests = self._requests.pop(repr(message.get("id")), [])
        if "result" in message and len(requests) == 1:
            meta = mapping(mapping(requests[0].get("params")).get("_meta"))
            session = self.initialized.get("protocolVersion", self.revision)
            version = meta.get(f"{META_PREFIX}protocolVersion", session)
            assert_official(requests[0]["method"], version, message["result"])


def result_of(reply: JsonObject) -> JsonObject:
    """Return the result of a reply; fail for an error."""
    assert "result" in reply, f"No result: {reply}"
    result: JsonObject = reply["result"]
    return result


def error_of(reply: JsonObject) -> JsonObject:
    """Return the error of a reply; fail for a result."""
    assert "error" in reply, f"No error: {reply}"
    error: JsonObject = reply["error"]
    return error
