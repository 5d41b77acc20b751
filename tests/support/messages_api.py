"""A local HTTP server that speaks enough of the Anthropic Messages API for the real SDK to talk to by its base URL.

`POST /v1/messages` without streaming: it checks the request as the service does, keeps it, and answers what the test
has planned (or repeats the last user text). Errors have the service's shapes. Real sockets, served by threads; knows
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
    """A request as it came: header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """What one request is to be answered with."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


class MessagesApi:
    """The server as the test sees it: what to answer next, and what has come."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        self.requests: list[RecordedRequest] = []
        self.url = ""
        self._planned: deque[Planned] = deque()
        self._numbers = count(1)
        self._lock = threading.Lock()

    def answer(self, *texts: str, stop_reason: str = "end_turn", hold: threading.Event | None = None) -> None:
        """Answer the next request with these text blocks, once `hold` is set if one is given."""
        self._planned.append(Planned(200, {"content": texts, "stop_reason": stop_reason}, hold=hold))

    def fail(self, status: int, message: str = "Planned failure", retry_after: float | None = None) -> None:
        """Answer the next request with an error of the service's shape."""
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        self._planned.append(Planned(status, error_body(status, message), headers))

    def await_requests(self, number: int, seconds: float = PATIENCE) -> list[RecordedRequest]:
        """Wait until so many requests have come and return all of them."""
        wait_until(lambda: len(self.requests) >= number, f"{number} requests to the Messages API", seconds)
        return list(self.requests)

    def take(self, recorded: RecordedRequest) -> Planned:
        """Keep a request and return the answer to it: the service's own refusals come before what is planned."""
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
    """Return the token of the Authorization header, where newer versions of the SDK put the key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error as the service writes it."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_local"}


def message_body(number: int, asked: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an answer as the service writes it; a token is counted for each word."""
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
        """Read, record and answer one request."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        planned = self.server.api.take(RecordedRequest(self.path, headers, json.loads(raw)))
        if planned.hold is not None:
            planned.hold.wait(6 * PATIENCE)
        self._reply(planned)

    def do_GET(self) -> None:
        """Answer that there is nothing."""
        self._reply(Planned(404, error_body(404, "Not Found")))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self, planned: Planned) -> None:
        body = json.dumps(planned.body).encode()
        try:
            self.send_response(planned.status)
            for name, value in {"content-type": "application/json", **planned.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # a caller that was cancelled waits for no answer
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
