"""`server.base_path`: every network path beneath a prefix, whether or not a proxy has removed it.

Sources: transports (the endpoint event of 2024-11-05); RFC 9728, 3.1 and 5.1; ASGI, root_path.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urljoin

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.processes import LOOPBACK
from tfo_mcp.bootstrap import ConfigurationError, load

OAUTH = {
    "issuer": "https://issuer.example",
    "audience": "https://mcp.example/tools/mcp",
    "jwks_url": "https://issuer.example",
}
PREFIX = "/tools"
ACCEPT = {"Accept": "application/json, text/event-stream"}
METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server with a base path, credentials and a trusted proxy on this machine."""
    settings = {"base_path": f"{PREFIX}/", "trusted_proxies": [LOOPBACK], "playground": True}
    with guarded(tmp_path_factory.mktemp("gate"), security={"oauth": OAUTH}, server=settings) as running:
        yield running


@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_every_path_is_served_with_the_prefix_and_without_it(gate: Guarded, prefix: str) -> None:
    key = gate.key("tools:read")
    with gate.client() as client:
        expected = {"/healthz": 200, "/readyz/": 200, METADATA: 200, "/": 200, "/nowhere": 404}
        expected |= {"/playground/playground.js": 200, "/toolsmcp": 404}
        assert {path: client.get(prefix + path).status_code for path in expected} == expected
        opened = client.post(
            f"{prefix}/mcp",
            json=request(1, "initialize", initialize_params(LATEST_HANDSHAKE)),
            headers={**ACCEPT, "X-API-Key": key},
        )
        assert opened.status_code == 200
    with connect(
        f"ws://{LOOPBACK}:{gate.server.port}{prefix}/ws",
        subprotocols=["mcp"],  # type: ignore[list-item]
        additional_headers={"X-API-Key": key},
    ) as socket:
        socket.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
        assert json.loads(socket.recv(PATIENCE))["id"] == 1


@pytest.mark.parametrize("path", ["/tools/sse", "/tools/sse/", "/sse"])
def test_the_endpoint_event_resolves_beside_its_stream(gate: Guarded, path: str) -> None:
    with closing(HTTPConnection(LOOPBACK, gate.server.port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers={"Accept": "text/event-stream", "X-API-Key": gate.key("tools:read")})
        response = connection.getresponse()
        assert response.readline() == b"event: endpoint\n"
        named = urljoin(path, response.readline().decode().removeprefix("data: "))
    assert named.startswith(f"{PREFIX if path.startswith(PREFIX) else ''}/messages?session_id=")


@pytest.mark.parametrize(
    ("path", "reported", "announced"),
    [
        ("/tools/mcp", "", "/tools"),
        ("/mcp", "", "/tools"),
        ("/mcp", "/tools", "/tools"),
        ("/tools/mcp", "/tools", "/tools"),
        ("/tools/mcp", "/outer", "/outer/tools"),
        ("/mcp", "/outer", "/outer"),
        ("/mcp", "//evil.example", "/tools"),
    ],
)
def test_the_challenge_names_one_prefix(gate: Guarded, path: str, reported: str, announced: str) -> None:
    """The prefix of a trusted proxy and the setting are one: neither is doubled."""
    with gate.client() as client:
        headers: Mapping[str, str] = {"X-Forwarded-Prefix": reported} if reported else {}
        shown = client.post(path, json=request(1, "ping"), headers=headers).headers["www-authenticate"]
    assert f'resource_metadata="{gate.server.origin}{announced}{METADATA}/mcp"' in shown


def test_the_metadata_is_also_where_the_resource_identifier_leads(gate: Guarded) -> None:
    with gate.client() as client:
        assert client.get(f"{METADATA}{PREFIX}/mcp").json()["resource"] == OAUTH["audience"]


def test_the_page_without_a_slash_redirects_to_the_page(gate: Guarded) -> None:
    answer = httpx.get(f"{gate.server.origin}{PREFIX}")
    assert (answer.status_code, urljoin(PREFIX, answer.headers["location"])) == (307, f"{PREFIX}/")


def test_what_is_not_a_prefix_is_refused_by_name() -> None:
    for text in ("tools", "//evil", "/a//b", "/a?b", "/a b", "/../x", "https://x", "/%2e"):
        with pytest.raises(ConfigurationError, match=r"server\.base_path.*must be a path such as"):
            load(environ={"TELEMETRYFLOW_MCP_SERVER_BASE_PATH": text})
    assert load(environ={"TELEMETRYFLOW_MCP_SERVER_BASE_PATH": "/"}).server.base_path == ""
