"""A server that requires API keys: its keys, its audit log, and plain requests with and without credentials."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    STATELESS,
    JsonObject,
    initialize_params,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.http_client import HEADERS
from tests.support.processes import NO_TLS, PROJECT, HttpServer, http_server, run_command

PLUGINS = [f"tests.support.plugins.{name}" for name in ("held_calls", "answers", "questions", "reports", "catalogue")]
PREFIX = "base64url.bearer.authorization.tfo-mcp."


@dataclass(frozen=True)
class Guarded:
    """A running server, and the directory `place` with its configuration, key file and audit log.

    `patience` is how many seconds a request may take.
    """

    server: HttpServer
    place: Path
    patience: float = PATIENCE

    def keys(self, *arguments: str) -> str:
        """Run `tfo-mcp keys` and return what it prints."""
        return self.run("keys", *arguments)

    def run(self, *arguments: str) -> str:
        """Run the command with the configuration of the server and return what it prints."""
        done = run_command(*arguments, "--config", self.place / "tfo-mcp.yaml")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def key(self, *scopes: str, name: str = "test", expires: str | None = None) -> str:
        """Create a key and return it."""
        wanted = [argument for scope in scopes for argument in ("--scope", scope)]
        wanted += [] if expires is None else ["--expires", expires]
        return self.keys("create", "--name", name, *wanted).splitlines()[-1]

    def audit(self) -> list[JsonObject]:
        """Return the entries of the audit log."""
        return [json.loads(line) for line in (self.place / "audit.jsonl").read_text().splitlines()]

    def client(self, key: str | None = None, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Return an HTTP client that connects from `address` and sends `key`, if given, as a bearer token."""
        shown = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.server.origin,
            headers={**HEADERS, **shown, **headers},
            timeout=self.patience,
            transport=httpx.HTTPTransport(local_address=address, verify=NO_TLS),
        )

    def stateless(self, key: str | None, method: str, params: JsonObject | None = None) -> httpx.Response:
        """Send a stateless request and return the response."""
        whole = stateless_params(params or {})
        message = request(1, method, whole)
        with self.client(key) as client:
            return client.post("/mcp", json=message, headers=stateless_headers(message))

    def tool(self, key: str | None, name: str, arguments: JsonObject) -> JsonObject:
        """Call a tool by a stateless request and return the result."""
        return result_in(self.stateless(key, "tools/call", {"name": name, "arguments": arguments}))

    def session(self, client: httpx.Client) -> str:
        """Open a session and return its id."""
        opened = client.post("/mcp", json=request(1, "initialize", initialize_params(LATEST_HANDSHAKE)))
        assert opened.status_code == 200, opened.text
        session_id = opened.headers["mcp-session-id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert client.post("/mcp", json=ready, headers={"Mcp-Session-Id": session_id}).status_code == 202
        return str(session_id)


def result_in(response: httpx.Response) -> JsonObject:
    """Return the result in a response, which is a stream of events if the call has taken a while."""
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    result: JsonObject = json.loads(events[-1] if events else response.text)["result"]
    return result


def subprotocol(key: str) -> str:
    """Return the WebSocket subprotocol by which a browser sends a key."""
    return PREFIX + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


@contextmanager
def guarded(
    place: Path, variables: Mapping[str, str] | None = None, **sections: Mapping[str, Any]
) -> Iterator[Guarded]:
    """Run a server that requires keys; `sections` are added to its settings, `variables` to its environment."""
    configuration: dict[str, dict[str, Any]] = {
        "mcp": {"plugins": PLUGINS, "state_key": "a key of these tests, and of no others"},
        "files": {"roots": [str(place / "root")]},
        "logging": {"format": "json"},
        "security": {
            "require_key": True,
            "keys_file": str(place / "keys.json"),
            "audit_file": str(place / "audit.jsonl"),
        },
        "limits": {"wrong_credentials_per_minute": 100_000},
    }
    (place / "root").mkdir()
    for name, section in sections.items():
        configuration.setdefault(name, {}).update(section)
    (place / "tfo-mcp.yaml").write_text(json.dumps(configuration))
    with http_server(place / "tfo-mcp.yaml", variables={"PYTHONPATH": str(PROJECT), **(variables or {})}) as server:
        yield Guarded(server, place)


__all__ = ["STATELESS", "Guarded", "guarded", "result_in", "subprotocol"]
