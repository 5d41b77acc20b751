"""A local HTTP server with the part of the Anthropic Messages API that the real SDK needs.

It supports `POST /v1/messages` without streaming: it validates the request like the service, records it, and sends the
response that the test has planned, or else repeats the last user text. Errors have the format of the service. Knows
nothing of MCP.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import LOOPBACK

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
REQUIRED = {"model": str, "max_tokens": int, "messages": list}


@dataclass(frozen=True)
class RecordedRequest:
    """A received request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """The response to one request; if `hold` is given, it is sent once that is set."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


class MessagesApi:
    """The planned responses and the recorded requests, for the test."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        self.requests: list[RecordedRequest] = []
        self.url = ""
        self._planned: deque[Planned] = deque()
        self._numbers = count(1)
        self._lock = threading.Lock()

    def answer(self, *texts: str, stop_reason: str = "end_turn", hold: threading.Event | None = None) -> None:
        """Plan a response with these text blocks; if `hold` is given, the response waits until it is set."""
        self._planned.append(Planned(200, {"content": texts, "stop_reason": stop_reason}, hold=hold))

    def fail(self, status: int, message: str = "Planned failure", retry_after: float | None = None) -> None:
        """Plan an error response in the format of the service; `retry_after` is in seconds."""
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        self._planned.append(Planned(status, error_body(status, message), headers))

    def await_requests(self, number: int, seconds: float = PATIENCE) -> list[RecordedRequest]:
        """Wait until at least `number` requests have arrived and return all of them."""
        wait_until(lambda: len(self.requests) >= number, f"{number} requests to the Messages API", seconds)
        return list(self.requests)

    def take(self, recorded: RecordedRequest) -> Planned:
        """Record a request and return the response: an error for an invalid request, else the planned response."""
        with self._lock:
            self.requests.append(recorded)
            refusal = self._refusal(recorded)
            planned = refusal or (self._planned.popleft() if self._planned else None)
            number = next(self._numbers)
        if planned is None:
            planned = Planned(200, {"content": (f"You said: {last_text(recorded.body)}",), "stop_reason": "end_turn"})
        if planned.status == 200:
            return Planned(200, message_body(number, recorded.body, planned.body), hold=planned.hold)
        return planned

    def _refusal(self, recorded: RecordedRequest) -> Planned | None:
        if recorded.path.partition("?")[0] != "/v1/messages":
            return Planned(404, error_body(404, "Not Found"))
        if self.api_key not in (recorded.headers.get("x-api-key"), bearer_token(recorded.headers)):
            return Planned(401, error_body(401, "invalid API key"))
        if "anthropic-version" not in recorded.headers:
            return Planned(400, error_body(400, "anthropic-version: header is required"))
        for name, kind in REQUIRED.items():
            if not isinstance(recorded.body.get(name), kind):
                return Planned(400, error_body(400, f"{name}: Field required"))
        return None


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token of the Authorization header, in which newer versions of the SDK send the key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error body in the format of the service."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_local"}


def message_body(number: int, asked: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message body in the format of the service; each word counts as one token."""
    texts: tuple[str, ...] = planned["content"]
    return {
        "id": f"msg_{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [{"type": "text", "text": text} for text in texts],
        "stop_reason": planned["stop_reason"],
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(last_text(asked).split()),
            "output_tokens": sum(len(text.split()) for text in texts),
        },
    }


def last_text(asked: Mapping[str, Any]) -> str:
    """Return the text of the last message of a request."""
    content = asked["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        """Read, record and answer one request to the API."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        planned = self.server.api.take(RecordedRequest(self.path, headers, json.loads(raw)))
        if planned.hold is not None:
            planned.hold.wait(6 * PATIENCE)
        self._reply(planned)

    def do_GET(self) -> None:
        """Answer 404."""
        self._reply(Planned(404, error_body(404, "Not Found")))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _reply(self, planned: Planned) -> None:
        body = json.dumps(planned.body).encode()
        try:
            self.send_response(planned.status)
            for name, value in {"content-type": "application/json", **planned.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # a cancelled caller has closed the connection
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: MessagesApi


@contextmanager
def messages_api(api_key: str = "test-key") -> Iterator[MessagesApi]:
    """Serve the Messages API on a free port until the end of the block; `url` is its base URL."""
    api = MessagesApi(api_key)
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
