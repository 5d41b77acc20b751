"""Shared by the tests of Streamable HTTP: a server with the tools of `plugins/http_tools`, its gates, raw requests.

A gate is a named event at which a tool waits. Above `http_client`, `raw_http` and `processes`. Knows the tools by name,
the headers of a plain request, and which revisions have resumable and primed streams.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.balanced import network_server
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject, initialize_params, request
from tests.support.http_client import EVENT_STREAM, JSON, EventStream, HttpClient, Reply, Session, http_client
from tests.support.processes import LOOPBACK, PROJECT, HttpServer
from tests.support.raw_http import RawConnection, RawResponse, head, raw_connection

CONFIGURATION = Path(__file__).with_name("plugins") / "http_tools.yaml"
ACCEPT = f"{JSON}, {EVENT_STREAM}"
ELICITATION: JsonObject = {"elicitation": {}}

HeaderLine = tuple[str, str]
UPGRADE: Sequence[HeaderLine] = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
"""The headers of a WebSocket handshake."""
RESUMABLE = ("2025-03-26", "2025-06-18", "2025-11-25")
PRIMED = ("2025-11-25",)
UNPRIMED = ("2024-11-05", "2025-03-26", "2025-06-18")
SESSIONS = (*UNPRIMED, *PRIMED)
_NOTICED = 3  # keep-alive comments of another stream, by which the server has detected a closed connection
_KEYS = count(1)


@contextmanager
def tools_server(**settings: object) -> Iterator[HttpServer]:
    """Run a server with the tools of `http_tools`; `settings` are `section_key=value`."""
    variables = {f"TELEMETRYFLOW_MCP_{name.upper()}": str(value) for name, value in settings.items()}
    with network_server(CONFIGURATION, variables={"PYTHONPATH": str(PROJECT), **variables}) as server:
        yield server


def new_key() -> str:
    """Return the name of a gate that no other test uses."""
    return f"gate-{next(_KEYS)}"


def call_of(name: str, **arguments: Any) -> JsonObject:
    """Return the params of a call of a tool."""
    return {"name": name, "arguments": arguments}


INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
METHODS: Mapping[str, JsonObject] = {
    "server/discover": {},
    "tools/list": {},
    "tools/call": call_of("talk", count=0),
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "memo://one"},
    "prompts/list": {},
    "prompts/get": {"name": "grüße"},
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "debug_help"},
        "argument": {"name": "language", "value": "p"},
    },
    "subscriptions/listen": {"notifications": {}},
}
"""Every method of the stateless era, with params that make it succeed."""


def call_tool(session: Session, name: str, **arguments: Any) -> Reply:
    """Call a tool in a session."""
    return session.call("tools/call", call_of(name, **arguments))


def text_of(result: JsonObject) -> str:
    """Return the first text of a tool's result."""
    return str(result["content"][0]["text"])


class Gates:
    """Opens gates and reads their states, over a stateless client of its own."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def open(self, key: str) -> None:
        """Open a gate, so that the waiting call continues."""
        self._call("open_gate", key)

    def state(self, key: str) -> str:
        """Return the state of the call at a gate: unknown, waiting, cancelled or finished."""
        return self._call("gate_state", key)

    def await_state(self, key: str, state: str) -> None:
        """Wait until the call at a gate has this state."""
        wait_until(lambda: self.state(key) == state, f"{key} is {state}")

    def _call(self, tool: str, key: str) -> str:
        return text_of(self._client.call_stateless("tools/call", call_of(tool, key=key)).result)


@contextmanager
def gates_of(server: HttpServer) -> Iterator[Gates]:
    """Yield the gates of a server."""
    with http_client(server.url) as client:
        yield Gates(client)


def raw_request(
    verb: str, path: str, host: str | None, headers: Sequence[HeaderLine] = (), body: object = b""
) -> bytes:
    """Return a request with these headers, preceded by Host if `host` is given.

    Content-Length is added if there is a body and the headers contain neither it nor Transfer-Encoding.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.lower() for name, _ in headers}
    lines = [] if host is None else [("Host", host)]
    lines += headers
    if raw and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(raw))))
    return head(verb, path, lines) + raw


def raw_post(port: int, message: object, *headers: HeaderLine) -> bytes:
    """Return a POST to the endpoint with the usual headers, which `headers` can override."""
    given = {name.lower() for name, _ in headers}
    usual = [("Content-Type", JSON), ("Accept", ACCEPT)]
    lines = [line for line in usual if line[0].lower() not in given]
    return raw_request("POST", "/mcp", f"{LOOPBACK}:{port}", [*lines, *headers], message)


def answer(server: HttpServer, raw: bytes, verb: str = "POST") -> RawResponse:
    """Send these bytes and read the response."""
    with raw_connection(server.port) as connection:
        connection.send(raw)
        return connection.response(verb=verb)


def raw_answer(server: HttpServer, message: JsonObject, *headers: HeaderLine) -> RawResponse:
    """POST a message with these headers, unchanged, and read the response."""
    return answer(server, raw_post(server.port, message, *headers))


def still_serves(connection: RawConnection, server: HttpServer) -> bool:
    """Return whether the server still answers a request on a connection."""
    connection.send(raw_post(server.port, INITIALIZE))
    return connection.response().status == 200


def refused(reply: Reply, code: int, status: int = 400) -> None:
    """Assert that a reply is an error with this code and this HTTP status."""
    assert (reply.status, reply.error["code"]) == (status, code), reply


def sealed(text: bytes | str) -> str:
    """Return a text in the base64 form for headers, even if it does not need encoding."""
    raw = text if isinstance(text, bytes) else text.encode()
    return f"=?base64?{base64.b64encode(raw).decode()}?="


def held(session: Session, key: str) -> JsonObject:
    """Return a call that waits at a gate and logs before and after."""
    return session.request("tools/call", call_of("hold", key=key, aloud=True))


def let_time_pass(client: HttpClient) -> None:
    """Wait until a stream of another session has received some keep-alive comments."""
    with client.handshake().listen() as clock:
        clock.next_event()
        for _ in range(_NOTICED):
            clock.next_comment()


def data_of(stream: EventStream) -> list[str]:
    """Read the stream to its end and return the data of its logged messages."""
    stream.rest()
    return [
        message["params"]["data"] for message in stream.messages() if message.get("method") == "notifications/message"
    ]


def results_of(stream: EventStream) -> list[str]:
    """Return the texts of the results that were read so far."""
    return [text_of(message["result"]) for message in stream.messages() if "result" in message]


def event_id(stream: EventStream) -> str:
    """Return the id of the latest event with an id."""
    assert stream.last_event_id is not None
    return stream.last_event_id
