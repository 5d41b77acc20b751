"""A raw HTTP client for the MCP endpoint: plain responses, streams event by event, sessions and stateless requests.

No SDK: the test sees status, headers and events unchanged. Every wait has a deadline. Messages come from `envelopes`;
`raw_http` sends malformed HTTP.
"""

import json
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.support.deadlines import PATIENCE, Deadline
from tests.support.envelopes import (
    FIRST_WITH_VERSION_HEADER,
    LATEST_HANDSHAKE,
    STATELESS,
    JsonObject,
    MessageId,
    initialize_params,
    notification,
    request,
    same_id,
    stateless_headers,
    stateless_params,
)
from tests.support.processes import NO_TLS
from tests.support.sse import Event, lines_of, parse_events

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
SILENCE = 6 * PATIENCE  # seconds; longer than any wait of a test, which has its own deadline
HEADERS = {"Content-Type": JSON, "Accept": f"{JSON}, {EVENT_STREAM}"}


@dataclass(frozen=True)
class Reply:
    """A complete response: its status and headers, the events if it is a stream, and the messages in order."""

    status: int
    headers: httpx.Headers
    body: bytes
    events: tuple[Event, ...]
    messages: tuple[JsonObject, ...]

    @property
    def streamed(self) -> bool:
        """Whether the response is an event stream."""
        return _is_stream(self.headers)

    @property
    def message(self) -> JsonObject:
        """The last message that is a result or an error."""
        return next(message for message in reversed(self.messages) if "method" not in message)

    @property
    def result(self) -> JsonObject:
        """The result; raises KeyError with the whole message if it is an error."""
        return _member(self.message, "result")

    @property
    def error(self) -> JsonObject:
        """The error; raises KeyError with the whole message if it is a result."""
        return _member(self.message, "error")

    def notifications(self, method: str | None = None) -> list[JsonObject]:
        """Return the notifications in the response, of one method or of all."""
        found = [message for message in self.messages if "method" in message and "id" not in message]
        return [message for message in found if method in (None, message["method"])]


def _member(message: JsonObject, name: str) -> JsonObject:
    if name not in message:
        raise KeyError(f"no {name} in {message}")
    member: JsonObject = message[name]
    return member


class EventStream:
    """A response that is read event by event; comments are kept separately.

    A thread reads the events, so that a test can wait for the next one with a deadline.
    """

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.headers = answer.headers
        self.comments: list[str] = []
        self.events: list[Event] = []
        self.broken = False
        self._answer = answer
        self._arrived: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        if _is_stream(answer.headers):
            self._reader = threading.Thread(target=self._read, name="event-reader", daemon=True)
            self._reader.start()

    @property
    def last_event_id(self) -> str | None:
        """The last received event id, from which a client resumes."""
        return next((event.id for event in reversed(self.events) if event.id is not None), None)

    def next_event(self, seconds: float = PATIENCE) -> Event:
        """Return the next event.

        Raises:
            EOFError: the stream has ended; `broken` says whether in the middle of the body.
            TimeoutError: no event arrived in time.
        """
        deadline = Deadline(seconds, "an event")
        while (event := self._next(deadline)).comment is not None:
            self.comments.append(event.comment)
        self.events.append(event)
        return event

    def next_comment(self, seconds: float = PATIENCE) -> str:
        """Return the next comment; an event before it is an error. Raises as `next_event`."""
        event = self._next(Deadline(seconds, "a comment"))
        assert event.comment is not None, f"An event before the comment: {event}"
        self.comments.append(event.comment)
        return event.comment

    def next_message(self, seconds: float = PATIENCE) -> JsonObject:
        """Return the message of the next event that has data. Raises as `next_event`."""
        deadline = Deadline(seconds, "a message")
        while not (event := self.next_event(deadline.left())).data:
            pass
        message: JsonObject = json.loads(event.data)
        return message

    def reply(self, identifier: MessageId, seconds: float = PATIENCE) -> JsonObject:
        """Return the result or error with this id; earlier events stay in `events`. Raises as `next_event`."""
        deadline = Deadline(seconds, f"the reply to {identifier!r}")
        while True:
            message = self.next_message(deadline.left())
            if "method" not in message and same_id(message.get("id"), identifier):
                return message

    def rest(self, seconds: float = PATIENCE) -> list[Event]:
        """Read to the end of the stream and return the events that were read."""
        deadline = Deadline(seconds, "the end of the stream")
        before = len(self.events)
        try:
            while True:
                self.next_event(deadline.left())
        except EOFError:
            return self.events[before:]

    def messages(self) -> list[JsonObject]:
        """Return the messages of all events read so far."""
        return [json.loads(event.data) for event in self.events if event.data]

    def read(self) -> bytes:
        """Return the body of a response that is not a stream."""
        return self._answer.read()

    def close(self) -> None:
        """Close the connection, even in the middle of the body, like a client that disconnects."""
        if self._reader is not None and self._reader.is_alive():
            connection = self._answer.extensions["network_stream"].get_extra_info("socket")
            with suppress(OSError):  # the server has closed it first
                connection.shutdown(socket.SHUT_RDWR)
            self._reader.join(PATIENCE)

    def _next(self, deadline: Deadline) -> Event:
        try:
            event = self._arrived.get(timeout=deadline.left())
        except queue.Empty:
            raise TimeoutError(f"No event in time; so far: {self.events}") from None
        if event is None:
            self._arrived.put(None)
            raise EOFError("The stream has ended")
        return event

    def _read(self) -> None:
        try:
            for event in parse_events(lines_of(self._answer.iter_bytes())):
                self._arrived.put(event)
        except httpx.TransportError:
            self.broken = True
        finally:
            self._arrived.put(None)


class HttpClient:
    """A client of one endpoint; it holds no session itself."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.http = httpx.Client(headers=dict(headers or {}), timeout=SILENCE, trust_env=False, verify=NO_TLS)
        self._ids = count(1)

    def next_id(self) -> int:
        """Return an id that this client has not used yet."""
        return next(self._ids)

    def send(self, verb: str, content: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and read the complete response.

        Args:
            verb: the HTTP method.
            content: bytes to send unchanged, or a value to send as JSON; None sends no body.
            headers: override the default headers of the same name; an empty value removes a default header.
        """
        with self.stream(verb, content, headers) as stream:
            if _is_stream(stream.headers):
                events = tuple(stream.rest())
                return Reply(stream.status, stream.headers, b"", events, tuple(stream.messages()))
            body = stream.read()
            return Reply(stream.status, stream.headers, body, (), _messages(stream.headers, body))

    def post(self, content: object, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a message and read the complete response; see `send`."""
        return self.send("POST", content, headers)

    @contextmanager
    def stream(
        self, verb: str, content: object = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[EventStream]:
        """Send one request and yield the response, read event by event; leaving the block closes the connection."""
        raw = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
        chosen = {name: value for name, value in httpx.Headers({**HEADERS, **_canonical(headers)}).items() if value}
        with self.http.stream(verb, self.url, content=raw, headers=chosen) as answer:
            stream = EventStream(answer)
            try:
                yield stream
            finally:
                stream.close()

    def handshake(
        self,
        revision: str = LATEST_HANDSHAKE,
        capabilities: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Session":
        """Perform the handshake and return the session."""
        first = request(self.next_id(), "initialize", initialize_params(revision, capabilities))
        reply = self.post(first, headers)
        session = Session(self, reply.result, dict(headers or {}))
        if identifier := reply.headers.get("mcp-session-id"):
            session.headers["Mcp-Session-Id"] = identifier
        if session.revision >= FIRST_WITH_VERSION_HEADER:
            session.headers["MCP-Protocol-Version"] = session.revision
        accepted = session.notify("notifications/initialized")
        assert accepted.status == httpx.codes.ACCEPTED, f"initialized: {accepted}"
        return session

    def stateless_request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        capabilities: Mapping[str, Any] | None = None,
        log_level: str | None = None,
        revision: str = STATELESS,
    ) -> tuple[JsonObject, dict[str, str]]:
        """Return a stateless request and the headers that mirror it, so that a test can change them before sending."""
        whole = stateless_params(params, capabilities=capabilities, log_level=log_level, revision=revision)
        message = request(self.next_id(), method, whole)
        return message, stateless_headers(message)

    def call_stateless(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        capabilities: Mapping[str, Any] | None = None,
        log_level: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a stateless request and read the complete response; `headers` override the mirrored ones."""
        message, mirrored = self.stateless_request(method, params, capabilities=capabilities, log_level=log_level)
        return self.post(message, {**mirrored, **(headers or {})})

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


@dataclass
class Session:
    """A session of the handshake era; its headers are sent with every request."""

    client: HttpClient
    result: JsonObject
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """The negotiated revision."""
        return str(self.result["protocolVersion"])

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> JsonObject:
        """Return a request with a new id, for `post` and `stream`."""
        return request(self.client.next_id(), method, params)

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Send a request and read the complete response."""
        return self.post(self.request(method, params))

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Send a notification and read the complete response."""
        return self.post(notification(method, params))

    def post(self, content: object) -> Reply:
        """POST any content and read the complete response."""
        return self.client.post(content, self.headers)

    @contextmanager
    def stream(self, content: object) -> Iterator[EventStream]:
        """POST any content and yield the response, read event by event."""
        with self.client.stream("POST", content, self.headers) as stream:
            yield stream

    @contextmanager
    def listen(self, last_event_id: str | None = None) -> Iterator[EventStream]:
        """GET the session's standalone stream, or resume the stream of `last_event_id` after that event."""
        resume = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        with self.client.stream("GET", None, {**self.headers, "Accept": EVENT_STREAM, **resume}) as stream:
            yield stream

    def delete(self) -> Reply:
        """End the session."""
        return self.client.send("DELETE", None, self.headers)


@contextmanager
def http_client(url: str, headers: Mapping[str, str] | None = None) -> Iterator[HttpClient]:
    """Yield a client of the endpoint `url` that sends `headers` with everything."""
    client = HttpClient(url, headers)
    try:
        yield client
    finally:
        client.close()


def _is_stream(headers: httpx.Headers) -> bool:
    return str(headers.get("content-type", "")).startswith(EVENT_STREAM)


def _messages(headers: httpx.Headers, body: bytes) -> tuple[JsonObject, ...]:
    if not body or not headers.get("content-type", "").startswith(JSON):
        return ()
    content = json.loads(body)
    return tuple(content) if isinstance(content, list) else (content,)


def _canonical(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers with the spelling of HEADERS, so that they replace the defaults in any spelling."""
    spelled = {name.lower(): name for name in HEADERS}
    return {spelled.get(name.lower(), name): value for name, value in (headers or {}).items()}
