"""Addresses: a slash at the end of a path, and path prefixes that a proxy or a mounting application adds.

Sources: transports (the endpoint event of 2024-11-05); RFC 9728, 5.1; ASGI, root_path.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin

import anyio
import httpx
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client
from websockets.sync.client import connect

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.host_validation_cases import EVIL
from tests.support.nginx import prefix_proxy
from tests.support.processes import LOOPBACK, HttpServer, free_port, http_server
from tests.support.programs import await_connection, program
from tests.support.streamable_http import INITIALIZE, UPGRADE, HeaderLine, answer, raw_request

ROUTES = [
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("PUT", "/mcp"),
    ("POST", "/messages"),
    ("POST", "/sse"),
    ("GET", "/ws"),
    ("GET", "/healthz"),
    ("HEAD", "/healthz"),
    ("POST", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
    ("GET", "/playground/playground.js"),
    ("GET", "/nowhere"),
]
USUAL: list[HeaderLine] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
]
OAUTH = {
    "issuer": "https://issuer.example",
    "audience": "https://mcp.example/mcp",
    "jwks_url": "https://issuer.example",
}
FORWARDED = {"X-Forwarded-Prefix": "/tools", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def open_server() -> Iterator[HttpServer]:
    """A server without authentication that shows its metrics."""
    with http_server({"security": {"anonymous": "all"}, "telemetry": {"prometheus": True}}) as running:
        yield running


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that requires credentials, behind a trusted proxy on this machine."""
    place = tmp_path_factory.mktemp("gate")
    with guarded(place, security={"oauth": OAUTH}, server={"trusted_proxies": [LOOPBACK]}) as running:
        yield running


def seen(server: HttpServer, verb: str, path: str, *headers: HeaderLine, host: str = LOOPBACK) -> tuple[object, ...]:
    """Return what does not depend on time in the response."""
    body = INITIALIZE if verb == "POST" else b""
    reply = answer(server, raw_request(verb, path, host, [*USUAL, *headers], body), verb)
    kept = ("content-type", "allow", "www-authenticate", "location", "upgrade")
    return reply.status, *(reply.headers.get(name) for name in kept)


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_a_slash_at_the_end_changes_nothing(open_server: HttpServer, verb: str, path: str) -> None:
    plain = seen(open_server, verb, path)
    assert seen(open_server, verb, f"{path}/") == plain
    assert plain[4] is None, "a redirect"
    assert seen(open_server, verb, f"{path}//")[0] == 404
    assert seen(open_server, verb, f"{path}%2F")[0] == 404


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_a_slash_at_the_end_evades_no_check(gate: Guarded, verb: str, path: str) -> None:
    for headers, host in (((), LOOPBACK), ((), "evil.example"), ((("Origin", EVIL),), LOOPBACK)):
        plain = seen(gate.server, verb, path, *headers, host=host)
        assert seen(gate.server, verb, f"{path}/", *headers, host=host) == plain


def test_the_endpoint_with_a_slash_opens_sessions_and_answers(open_server: HttpServer) -> None:
    with httpx.Client(base_url=open_server.origin, headers=dict(USUAL), timeout=PATIENCE) as client:
        opened = client.post("/mcp/", json=request(1, "initialize", initialize_params(LATEST_HANDSHAKE)))
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        assert client.post("/mcp", json=request(2, "ping"), headers=session).json()["result"] == {}
        assert client.post("/mcp/?a=b", json=request(3, "ping"), headers=session).json()["result"] == {}
        assert client.delete("/mcp/", headers=session).status_code == 204


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("POST", "/", 405),
        ("POST", "//mcp", 404),
        ("POST", "/mcp/mcp", 404),
        ("GET", "/api/mcp", 404),
        ("GET", "/x", 404),
    ],
)
def test_a_path_without_a_transport_says_where_they_are(
    open_server: HttpServer, verb: str, path: str, status: int
) -> None:
    reply = answer(open_server, raw_request(verb, path, LOOPBACK, USUAL, INITIALIZE if verb == "POST" else b""), verb)
    assert reply.status == status
    assert b"MCP is served at /mcp and /ws and /sse" in reply.body
    with http_server({"server": {"sse": False, "websocket": False}}) as other:
        assert b": MCP is served at /mcp\n" in answer(other, raw_request("GET", "/x", LOOPBACK, USUAL), "GET").body


def test_a_websocket_opens_at_the_path_with_a_slash(open_server: HttpServer) -> None:
    with connect(f"ws://{LOOPBACK}:{open_server.port}/ws/", subprotocols=["mcp"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
        assert json.loads(socket.recv(PATIENCE))["id"] == 1


def test_a_websocket_elsewhere_is_refused_with_a_slash_too(open_server: HttpServer) -> None:
    for path in ("/mcp/", "/", "/nowhere/"):
        assert answer(open_server, raw_request("GET", path, LOOPBACK, UPGRADE), "GET").status == 404


def endpoint_at(port: int, path: str, headers: dict[str, str] | None = None) -> str:
    """Return the URL for messages that a client of the stream at this path resolves."""
    with closing(HTTPConnection(LOOPBACK, port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **(headers or {})})
        response = connection.getresponse()
        assert response.status == 200
        assert response.readline() == b"event: endpoint\n"
        named = response.readline().decode().removeprefix("data: ").rstrip()
    return urljoin(f"http://{LOOPBACK}:{port}{path}", named)


@pytest.mark.parametrize("path", ["/sse", "/sse/", "/sse?a=/b/", "/sse/?a=/b/"])
def test_the_endpoint_event_resolves_to_the_messages(open_server: HttpServer, path: str) -> None:
    resolved = endpoint_at(open_server.port, path)
    assert resolved.startswith(f"{open_server.origin}/messages?session_id=")


@pytest.mark.parametrize("prefix", ["/tools", "/a/b", "/deep/er/still"])
@pytest.mark.parametrize("stream", ["sse", "sse/"])
def test_the_endpoint_event_stays_beneath_a_proxy_prefix(
    open_server: HttpServer, tmp_path: Path, prefix: str, stream: str
) -> None:
    with prefix_proxy(tmp_path, open_server.port, prefix) as proxy:
        resolved = endpoint_at(proxy, f"{prefix}/{stream}")
        assert resolved.startswith(f"http://{LOOPBACK}:{proxy}{prefix}/messages?session_id=")
        assert httpx.post(resolved, content=b"[").status_code in (
            404,
            415,
        )  # the stream has ended; not the proxy's page


def test_the_official_python_client_works_beneath_a_prefix(open_server: HttpServer, tmp_path: Path) -> None:
    async def visit(url: str) -> list[str]:
        with anyio.fail_after(PATIENCE):
            async with sse_client(url) as streams, ClientSession(*streams) as session:
                await session.initialize()
                return [tool.name for tool in (await session.list_tools()).tools]

    with prefix_proxy(tmp_path, open_server.port, "/tools") as proxy:
        for stream in ("sse", "sse/"):
            assert "echo" in anyio.run(visit, f"http://{LOOPBACK}:{proxy}/tools/{stream}")


def challenge(gate: Guarded, **headers: str) -> str:
    with gate.client() as client:
        return client.post("/mcp/", json=request(1, "ping"), headers=headers).headers["www-authenticate"]


@pytest.mark.parametrize(
    ("prefix", "announced"),
    [
        ("/tools", "/tools"),
        ("/tools/", "/tools"),
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        ("/outer, /inner", "/outer/inner"),
        ("/", ""),
        ("", ""),
        ("tools", ""),
        ("//evil.example", ""),
        ('/x"y', ""),
        ("/x?y", ""),
        ("/x y", ""),
        ("https://evil.example/x", ""),
        ("/ok, //evil.example", ""),
    ],
)
def test_the_challenge_names_the_metadata_beneath_the_prefix_of_a_trusted_proxy(
    gate: Guarded, prefix: str, announced: str
) -> None:
    """A prefix that is not a path is ignored."""
    named = f"https://{LOOPBACK}:{gate.server.port}{announced}/.well-known/oauth-protected-resource/mcp"
    shown = challenge(gate, **{"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": prefix})
    assert f'resource_metadata="{named}"' in shown


def test_only_a_trusted_proxy_can_name_a_prefix(tmp_path: Path) -> None:
    with guarded(tmp_path, security={"oauth": OAUTH}) as gate:
        assert f'resource_metadata="{gate.server.origin}/.well-known/' in challenge(gate, **FORWARDED)


def test_a_forwarded_prefix_leads_to_no_other_route(gate: Guarded) -> None:
    with gate.client() as client:
        for prefix in ("/mcp", "/tools", "/healthz"):
            named = {"X-Forwarded-Prefix": prefix}
            assert client.get("/healthz", headers=named).status_code == 200
            assert client.get("/healthz/", headers=named).status_code == 200
            assert client.get(f"{prefix}/nowhere", headers=named).status_code == 404
            assert client.post("/mcp", json=request(1, "ping"), headers=named).status_code == 401


MOUNTED = """
import sys
from contextlib import asynccontextmanager
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from tfo_mcp.bootstrap import build, load
from tfo_mcp_transports.asgi import create_app

settings = load()
inner = create_app(build(settings), settings)

class Outer:
    async def __call__(self, scope, receive, send):
        await (inner if scope["type"] == "lifespan" else routed)(scope, receive, send)

routed = Starlette(routes=[Mount(sys.argv[1], inner)])
uvicorn.run(Outer(), port=int(sys.argv[2]), log_level="warning")
"""


@pytest.mark.parametrize("path", ["/tools", "/a/b"])
def test_an_application_serves_beneath_the_path_that_it_is_mounted_at(path: str, tmp_path: Path) -> None:
    port = free_port()
    with program([sys.executable, "-c", MOUNTED, path, str(port)], tmp_path) as running:
        await_connection(running, port)
        origin = f"http://{LOOPBACK}:{port}"
        assert httpx.get(f"{origin}{path}/healthz").status_code == 200
        assert httpx.get(f"{origin}{path}/readyz/").status_code == 200
        assert httpx.get(f"{origin}/healthz").status_code == 404
        opened = httpx.post(f"{origin}{path}/mcp/", content=json.dumps(INITIALIZE), headers=dict(USUAL))
        assert opened.status_code == 200
        assert endpoint_at(port, f"{path}/sse").startswith(f"{origin}{path}/messages?session_id=")


def test_the_page_and_its_files_are_beneath_the_prefix(open_server: HttpServer, tmp_path: Path) -> None:
    with prefix_proxy(tmp_path, open_server.port, "/tools") as proxy:
        page = f"http://{LOOPBACK}:{proxy}/tools/"
        text = httpx.get(page).raise_for_status().text
        names = [part.partition('"')[0] for part in text.split('="')[1:]]
        files = [name for name in names if "." in name and not name.startswith("#")]
        assert len(files) > 3
        for name in files:
            httpx.get(urljoin(page, name)).raise_for_status()
