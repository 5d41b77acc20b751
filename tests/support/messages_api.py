"""A local HTTP server with the part of the Anthropic Messages API that the real SDK needs.

It supports `POST /v1/messages`: it validates the request like the service, records it, and sends the response that the
test has planned, or else repeats the last user text, as a stream of events if the request asks for one. Errors have the
format of the service. `GET /v1/models` lists the planned models. A stream can pause, break or fall silent. Requests,
bytes and open streams are counted. The servers of Bedrock and Vertex AI of the tests are derived from it. Knows
nothing of MCP.
"""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from time import monotonic
from typing import Any, Literal, TypeVar

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.messages_format import (
    bearer_token,
    encoded,
    error_body,
    events_of,
    last_text,
    message_body,
    problem_of,
)
from tests.support.processes import LOOPBACK

REQUIRED = {"model": str, "max_tokens": int, "messages": list}


@dataclass(frozen=True)
class RecordedRequest:
    """A received request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Fault:
    """What happens to a stream after a number of events.

    `pause` waits until `until` is set and goes on, `silence` waits and then ends, `reset` resets the connection, `end`
    closes it, `malformed` sends an event that is no JSON, `error` an error event of the service.
    """

    kind: Literal["pause", "silence", "reset", "end", "malformed", "error"]
    after: int
    until: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Planned:
    """The response to one request; if `hold` is given, it is sent once that is set."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    streams: bool = False
    fault: Fault | None = None


class MessagesApi:
    """The planned responses and the recorded requests, for the test."""

    stream_type = "text/event-stream; charset=utf-8"
    malformed_event = b"event: content_block_delta\ndata: {nonsense\n\n"

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        self.requests: list[RecordedRequest] = []
        self.models: list[Mapping[str, Any]] | None = None
        self.model_requests = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.open_streams = 0
        self.hung_up = 0
        self.sent_at: list[float] = []
        """When each text delta was sent, by the monotonic clock."""
        self.url = ""
        self._planned: deque[Planned] = deque()
        self._numbers = count(1)
        self._tool_numbers = count(1)
        self.lock = threading.Lock()

    def answer(
        self,
        *blocks: str | Mapping[str, Any],
        stop_reason: str = "end_turn",
        hold: threading.Event | None = None,
        fault: Fault | None = None,
        usage: Mapping[str, int] | None = None,
    ) -> None:
        """Plan a response with these blocks, texts among them; if `hold` is given, it waits until that is set."""
        planned = {"content": blocks, "stop_reason": stop_reason, "usage": usage or {}}
        self._planned.append(Planned(200, planned, hold=hold, fault=fault))

    def use(self, *tools: tuple[str, Mapping[str, Any]], text: str = "Let me look.") -> list[str]:
        """Plan a response that asks for these tools, and return the ids of the tool uses."""
        uses = [
            {"type": "tool_use", "id": f"toolu_{next(self._tool_numbers):04d}", "name": name, "input": dict(given)}
            for name, given in tools
        ]
        self.answer(text, *uses, stop_reason="tool_use")
        return [str(use["id"]) for use in uses]

    def fail(
        self,
        status: int,
        message: str = "Planned failure",
        retry_after: float | str | None = None,
        body: Any = None,
        **headers: str,
    ) -> None:
        """Plan an error response, by default with a body of the service; `retry_after` is in seconds, or a date."""
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        if retry_after is not None:
            asked["retry-after"] = retry_after if isinstance(retry_after, str) else f"{retry_after:g}"
        self._planned.append(Planned(status, body or error_body(status, message), asked))

    def forget(self) -> None:
        """Drop the recorded requests, and the planned responses that a failed test has left."""
        with self.lock:
            self.requests.clear()
            self._planned.clear()

    def await_requests(self, number: int, seconds: float = PATIENCE) -> list[RecordedRequest]:
        """Wait until at least `number` requests have arrived and return all of them."""
        wait_until(lambda: len(self.requests) >= number, f"{number} requests to the Messages API", seconds)
        return list(self.requests)

    def take(self, recorded: RecordedRequest) -> Planned:
        """Record a request and return the response: an error for an invalid request, else the planned response."""
        recorded = self.normalized(recorded)
        with self.lock:
            self.requests.append(recorded)
            refusal = self._refusal(recorded)
            planned = refusal or (self._planned.popleft() if self._planned else None)
            number = next(self._numbers)
        if planned is None:
            planned = Planned(200, {"content": (f"You said: {last_text(recorded.body)}",), "stop_reason": "end_turn"})
        if planned.status == 200:
            body = message_body(number, recorded.body, planned.body)
            streams = recorded.body.get("stream") is True
            return Planned(200, body, hold=planned.hold, streams=streams, fault=planned.fault)
        return planned

    def _refusal(self, recorded: RecordedRequest) -> Planned | None:
        refusal = self.refusal(recorded)
        if refusal is not None:
            return refusal
        for name, kind in REQUIRED.items():
            if not isinstance(recorded.body.get(name), kind):
                return Planned(400, error_body(400, f"{name}: Field required"))
        problem = problem_of(recorded.body["messages"])
        return None if problem is None else Planned(400, error_body(400, problem))

    def refusal(self, recorded: RecordedRequest) -> Planned | None:
        """Return what the service refuses before it looks at the message: a wrong path, key or version."""
        if recorded.path.partition("?")[0] != "/v1/messages":
            return Planned(404, error_body(404, "Not Found"))
        if self.api_key not in (recorded.headers.get("x-api-key"), bearer_token(recorded.headers)):
            return Planned(401, error_body(401, "invalid API key"))
        if "anthropic-version" not in recorded.headers:
            return Planned(400, error_body(400, "anthropic-version: header is required"))
        return None

    def normalized(self, recorded: RecordedRequest) -> RecordedRequest:
        """Return the request with the body of the Messages API."""
        return recorded

    def framed(self, event: Mapping[str, Any]) -> bytes:
        """Return an event as bytes of a stream."""
        return encoded([event])

    def other(self, path: str, raw: bytes) -> Planned | None:
        """Return the response to a POST that is none to the Messages API, None if it is one."""
        return None

    def listed(self) -> Planned:
        """Return the response of the models endpoint."""
        self.model_requests += 1
        if self.models is None:
            return Planned(404, error_body(404, "Not Found"))
        return Planned(200, {"data": self.models, "has_more": False, "first_id": None, "last_id": None})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        """Read, record and answer one request to the API."""
        api = self.server.api
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        api.received_bytes += len(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        planned = api.other(self.path, raw) or api.take(RecordedRequest(self.path, headers, json.loads(raw), raw))
        if planned.hold is not None:
            planned.hold.wait(6 * PATIENCE)
        self._reply(planned)

    def do_GET(self) -> None:
        """List the models, or answer 404."""
        is_models = self.path.partition("?")[0] == "/v1/models"
        self._reply(self.server.api.listed() if is_models else Planned(404, error_body(404, "Not Found")))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _reply(self, planned: Planned) -> None:
        try:
            self.send_response(planned.status)
            for name, value in planned.headers.items():
                self.send_header(name, value)
            if planned.streams:
                self._stream(planned)
                return
            body = json.dumps(planned.body).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self._write(body)
        except ConnectionError:  # a cancelled caller has closed the connection
            self.server.api.hung_up += 1
            self.close_connection = True

    def _stream(self, planned: Planned) -> None:
        api, fault = self.server.api, planned.fault
        self.send_header("content-type", api.stream_type)
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        with api.lock:
            api.open_streams += 1
        try:
            for number, event in enumerate(events_of(planned.body)):
                if fault is not None and number == fault.after and not self._go_on(fault):
                    return
                if event["type"] == "content_block_delta":
                    api.sent_at.append(monotonic())
                self._write(api.framed(event))
        finally:
            with api.lock:
                api.open_streams -= 1

    def _go_on(self, fault: Fault) -> bool:
        """Let the fault happen; return whether the stream goes on."""
        if fault.kind in ("pause", "silence"):
            self._wait(fault.until)
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.kind == "malformed":
            self._write(self.server.api.malformed_event)
        elif fault.kind == "error":
            self._write(self.server.api.framed(error_body(529, "Overloaded")))
        return fault.kind == "pause"

    def _wait(self, until: threading.Event) -> None:
        """Wait for the event, or until the client hangs up.

        Raises:
            ConnectionError: it has hung up.
        """
        self.connection.settimeout(0.02)
        ends = monotonic() + 6 * PATIENCE
        while not until.is_set() and monotonic() < ends:
            try:
                if not self.connection.recv(1):
                    raise ConnectionResetError
            except TimeoutError:
                continue
        self.connection.settimeout(None)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.server.api.sent_bytes += len(data)


Api = TypeVar("Api", bound=MessagesApi)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    api: MessagesApi


@contextmanager
def messages_api(api_key: str = "test-key") -> Iterator[MessagesApi]:
    """Serve the Messages API on a free port until the end of the block; `url` is its base URL."""
    with serving(MessagesApi(api_key)) as api:
        yield api


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """Serve an API on a free port until the end of the block; `url` is its base URL."""
    with _Server((LOOPBACK, 0), _Handler) as server:
        server.api = api
        api.url = f"http://{LOOPBACK}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join(PATIENCE)
