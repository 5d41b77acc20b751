"""What the tests of Streamable HTTP share: a server with the tools of `plugins/http_tools`, its gates, raw requests.

Above `http_client`, `raw_http` and `processes`. Knows the tools by name and which headers a plain request has.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.deadlines import wait_until
from tests.support.envelopes import JsonObject
from tests.support.http_client import EVENT_STREAM, JSON, HttpClient, Reply, Session, http_client
from tests.support.processes import LOOPBACK, HttpServer, http_server
from tests.support.raw_http import head

CONFIGURATION = Path(__file__).with_name("plugins") / "http_tools.yaml"
ACCEPT = f"{JSON}, {EVENT_STREAM}"
ELICITATION: JsonObject = {"elicitation": {}}

HeaderLine = tuple[str, str]
_KEYS = count(1)


@contextmanager
def tools_server(**settings: object) -> Iterator[HttpServer]:
    """Run a server with the tools; `settings` are `section_key=value`."""
    variables = {f"TELEMETRYFLOW_MCP_{name.upper()}": str(value) for name, value in settings.items()}
    with http_server(CONFIGURATION, variables=variables) as server:
        yield server


def new_key() -> str:
    """Return the name of a gate that no other test uses."""
    return f"gate-{next(_KEYS)}"


def call_of(name: str, **arguments: Any) -> JsonObject:
    """Return the params of a call of a tool."""
    return {"name": name, "arguments": arguments}


def call_tool(session: Session, name: str, **arguments: Any) -> Reply:
    """Call a tool in a session."""
    return session.call("tools/call", call_of(name, **arguments))


def text_of(result: JsonObject) -> str:
    """Return the first text of a tool's result."""
    return str(result["content"][0]["text"])


class Gates:
    """Opens gates and looks at them, with a client of its own in the stateless era."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def open(self, key: str) -> None:
        """Let the call that waits go on."""
        self._call("open_gate", key)

    def state(self, key: str) -> str:
        """Return unknown, waiting, cancelled or finished."""
        return self._call("gate_state", key)

    def await_state(self, key: str, state: str) -> None:
        """Wait until the call at the gate is so."""
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
    """Return a request with exactly these headers, Host first and Content-Length last where they are not given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.lower() for name, _ in headers}
    lines = [] if host is None else [("Host", host)]
    lines += headers
    if raw and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(raw))))
    return head(verb, path, lines) + raw


def raw_post(port: int, message: object, *headers: HeaderLine) -> bytes:
    """Return a POST to the endpoint with the usual headers, each of which one of `headers` may replace."""
    given = {name.lower() for name, _ in headers}
    usual = [("Content-Type", JSON), ("Accept", ACCEPT)]
    lines = [line for line in usual if line[0].lower() not in given]
    return raw_request("POST", "/mcp", f"{LOOPBACK}:{port}", [*lines, *headers], message)
