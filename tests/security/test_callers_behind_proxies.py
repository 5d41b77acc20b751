"""Public servers refuse anonymous callers: with a configured proxy or public name, and for forwarded requests.

All tests leave `security.require_key` unset, on the loopback interface. `false` is the operator's own decision.
"""

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request, stateless_headers, stateless_params
from tests.support.guarded import Guarded, guarded
from tests.support.http_client import EVENT_STREAM
from tests.support.websocket_conversation import websocket
from tfo_mcp.bootstrap import Settings, anonymous_access
from tfo_mcp.infrastructure.config import SecuritySettings, ServerSettings

ADDED_BY_PROXIES = {
    "Forwarded": "for=203.0.113.7;proto=https",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "mcp.example.com",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Server": "proxy",
    "X-Forwarded-Prefix": "/mcp",
    "X-Forwarded-User": "somebody",
    "x-forwarded-for": "",
    "X-Real-IP": "203.0.113.7",
    "Via": "1.1 proxy",
    "CF-Connecting-IP": "203.0.113.7",
    "CF-Ray": "1",
    "CDN-Loop": "cloudflare",
    "True-Client-IP": "203.0.113.7",
    "X-Client-IP": "203.0.113.7",
    "X-Cluster-Client-IP": "203.0.113.7",
    "Fastly-Client-IP": "203.0.113.7",
    "Fly-Client-IP": "203.0.113.7",
    "X-Original-Forwarded-For": "203.0.113.7",
    "X-Envoy-External-Address": "203.0.113.7",
    "X-Azure-ClientIP": "203.0.113.7",
    "X-AppEngine-User-IP": "203.0.113.7",
    "Tailscale-User-Login": "somebody@example.com",
}
FORWARDED = {"X-Forwarded-For": "203.0.113.7"}
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
LISTING = request(1, "tools/list", stateless_params())
UNSET = {"require_key": None}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server with metrics on the loopback interface, where anonymous callers may use everything."""
    place = tmp_path_factory.mktemp("loopback")
    security = {**UNSET, "anonymous": "all"}
    with guarded(place, security=security, telemetry={"prometheus": True}) as running:
        yield running


def post(gate: Guarded, message: Any, path: str = "/mcp", key: str | None = None, **headers: str) -> httpx.Response:
    with gate.client(key, **headers) as client:
        return client.post(
            path, json=message, headers=stateless_headers(message) if "_meta" in message["params"] else {}
        )


def websocket_status(gate: Guarded, headers: Mapping[str, str]) -> int:
    try:
        with websocket(gate.server, additional_headers=dict(headers)):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def event_stream_status(gate: Guarded, **headers: str) -> int:
    with (
        gate.client(None, **headers) as client,
        client.stream("GET", "/sse", headers={"Accept": EVENT_STREAM}) as answer,
    ):
        return answer.status_code


class TestAForwardedRequest:
    @pytest.mark.parametrize(("name", "value"), ADDED_BY_PROXIES.items())
    def test_is_never_anonymous_whatever_header_shows_it(self, gate: Guarded, name: str, value: str) -> None:
        for message in (INITIALIZE, LISTING):
            answer = post(gate, message, **{name: value})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "proxy" in answer.json()["error"]["message"]
        assert websocket_status(gate, {name: value}) == 401

    def test_one_that_is_not_forwarded_is_anonymous_as_before(self, gate: Guarded) -> None:
        assert post(gate, INITIALIZE).status_code == 200
        assert post(gate, LISTING).status_code == 200
        assert websocket_status(gate, {}) == 101
        assert event_stream_status(gate) == 200
        ordinary = {
            "Origin": gate.server.origin,
            "User-Agent": "x",
            "Cookie": "a=b",
            "X-Request-Id": "1",
            "Traceparent": "",
        }
        assert post(gate, LISTING, **ordinary).status_code == 200

    @pytest.mark.parametrize(
        ("verb", "path"),
        [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/sse"), ("POST", "/messages?session_id=x")],
    )
    def test_is_refused_at_every_endpoint(self, gate: Guarded, verb: str, path: str) -> None:
        with gate.client(None, **FORWARDED) as client:
            assert client.request(verb, path, json=INITIALIZE).status_code == 401

    def test_cannot_go_on_with_a_session_that_a_direct_one_has_opened(self, gate: Guarded) -> None:
        with gate.client() as client:
            session = gate.session(client)
            ping = request(2, "ping")
            headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": LATEST_HANDSHAKE}
            assert client.post("/mcp", json=ping, headers=headers).status_code == 200
            for method in ("POST", "GET", "DELETE"):
                assert client.request(method, "/mcp", json=ping, headers={**headers, **FORWARDED}).status_code == 401
            assert client.post("/mcp", json=ping, headers=headers).status_code == 200

    def test_is_served_with_a_key(self, gate: Guarded) -> None:
        key = gate.key("tools:read")
        assert post(gate, LISTING, key=key, **FORWARDED).status_code == 200
        authorization = {"Authorization": f"Bearer {key}"}
        assert websocket_status(gate, {**authorization, **FORWARDED}) == 101
        assert post(gate, LISTING, key=key[:-1], **FORWARDED).status_code == 401

    def test_is_refused_the_metrics_as_well(self, gate: Guarded) -> None:
        with gate.client() as client:
            assert client.get("/metrics").status_code == 200
            assert client.get("/metrics", headers=FORWARDED).status_code == 401
            assert client.head("/metrics", headers=FORWARDED).status_code == 401
            shown = {**FORWARDED, "Authorization": f"Bearer {gate.key()}"}
            assert client.get("/metrics", headers=shown).status_code == 200

    def test_is_written_down_as_refused(self, gate: Guarded) -> None:
        before = len(gate.audit())
        assert post(gate, LISTING, **FORWARDED).status_code == 401
        wait_until(lambda: len(gate.audit()) > before, "it is written, perhaps summed with earlier refusals")
        entry = gate.audit()[before]
        assert (entry["event"], entry["decision"], entry["caller"]) == ("authentication", "refused", "nobody")


@pytest.mark.parametrize(
    "server",
    [{"trusted_proxies": ["127.0.0.1"]}, {"trusted_proxies": ["10.0.0.0/8"]}, {"allowed_hosts": ["mcp.example.com"]}],
)
def test_a_proxy_or_a_public_name_in_the_settings_makes_keys_necessary(tmp_path: Path, server: dict[str, Any]) -> None:
    with guarded(tmp_path, server=server, security=UNSET) as gate:
        assert post(gate, INITIALIZE).status_code == 401
        assert post(gate, LISTING, **FORWARDED).status_code == 401
        assert websocket_status(gate, {}) == 401
        assert event_stream_status(gate) == 401
        assert post(gate, LISTING, key=gate.key()).status_code == 200


def test_an_operator_can_decide_otherwise(tmp_path: Path) -> None:
    server = {"trusted_proxies": ["127.0.0.1"], "allowed_hosts": ["mcp.example.com"]}
    with guarded(tmp_path, server=server, security={"require_key": False}, telemetry={"prometheus": True}) as gate:
        for headers in ({}, FORWARDED, {"Host": "mcp.example.com", **FORWARDED}):
            assert post(gate, LISTING, **headers).status_code == 200
        assert websocket_status(gate, FORWARDED) == 101
        with gate.client() as client:
            assert client.get("/metrics", headers=FORWARDED).status_code == 200
        wait_until(lambda: "can call tools that only read" in gate.server.child.stderr(), "the log warns of it")


@contextmanager
def reloadable(
    place: Path, server: Mapping[str, Any], security: Mapping[str, Any]
) -> Iterator[tuple[Guarded, Callable[[Mapping[str, Any], Mapping[str, Any]], None]]]:
    """Yield a server and a function that reloads it with other settings."""
    with guarded(place, server=server, security=security) as gate:
        path = place / "tfo-mcp.yaml"
        first = json.loads(path.read_text())

        def reload(server: Mapping[str, Any], security: Mapping[str, Any]) -> None:
            files = {name: first["security"][name] for name in ("keys_file", "audit_file")}
            path.write_text(json.dumps({**first, "server": server, "security": {**files, **security}}))
            before = gate.server.child.stderr().count("the settings were reloaded")
            gate.server.child.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda: gate.server.child.stderr().count("the settings were reloaded") > before, "the settings are read"
            )

        yield gate, reload


class TestAReload:
    def test_that_takes_a_public_name_away_does_not_let_anonymous_callers_in_before_the_restart(
        self, tmp_path: Path
    ) -> None:
        with reloadable(tmp_path, {"allowed_hosts": ["mcp.example.com"]}, UNSET) as (gate, reload):
            assert post(gate, LISTING).status_code == 401
            reload({}, UNSET)
            assert post(gate, LISTING).status_code == 401

    def test_keeps_forwarded_requests_out_and_lets_them_in_where_the_operator_says_so(self, tmp_path: Path) -> None:
        with reloadable(tmp_path, {}, UNSET) as (gate, reload):
            reload({}, {**UNSET, "anonymous": "all"})
            assert post(gate, LISTING, **FORWARDED).status_code == 401
            reload({}, {"require_key": False})
            assert post(gate, LISTING, **FORWARDED).status_code == 200
            reload({}, UNSET)
            assert (post(gate, LISTING).status_code, post(gate, LISTING, **FORWARDED).status_code) == (200, 401)

    def test_that_makes_keys_necessary_ends_what_anonymous_callers_have_open(self, tmp_path: Path) -> None:
        with reloadable(tmp_path, {}, UNSET) as (gate, reload), websocket(gate.server) as connection:
            reload({}, {"require_key": True})
            with pytest.raises(ConnectionClosed) as end:
                connection.recv(PATIENCE)
            assert end.value.rcvd is not None
            assert end.value.rcvd.code == 3000


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        ("server", "security", "words"),
        [
            ({}, {}, ["can call tools that only read", "loopback interface", "forwarded need an API key"]),
            ({}, {"anonymous": "all"}, ["can call every tool", "forwarded need an API key"]),
            ({}, {"anonymous": "none"}, ["need an API key", "security.anonymous is none"]),
            ({}, {"require_key": True}, ["need an API key", "security.require_key is true"]),
            ({"host": "0.0.0.0"}, {}, ["need an API key", "server.host"]),
            ({"host": "::"}, {}, ["need an API key", "server.host"]),
            ({"trusted_proxies": ["::1"]}, {}, ["need an API key", "server.trusted_proxies"]),
            (
                {"allowed_hosts": ["mcp.example.com:443"]},
                {},
                ["need an API key", "mcp.example.com", "server.allowed_hosts"],
            ),
            ({"allowed_hosts": ["192.0.2.1"]}, {}, ["need an API key", "server.allowed_hosts"]),
            ({"allowed_hosts": ["localhost.example.com"]}, {}, ["need an API key", "server.allowed_hosts"]),
            ({"allowed_hosts": ["localhost:1", "127.0.0.2", "[::1]:80", "a.localhost"]}, {}, ["can call", "loopback"]),
            (
                {"host": "0.0.0.0"},
                {"require_key": False},
                ["behind a proxy too, can call", "security.require_key is false"],
            ),
        ],
    )
    def test_names_what_callers_can_do_and_the_setting_that_decides_it(
        self, server: dict[str, Any], security: dict[str, Any], words: list[str]
    ) -> None:
        text = " ".join(
            anonymous_access(Settings(server=ServerSettings(**server), security=SecuritySettings(**security)))
        )
        assert [word for word in words if word not in text] == []

    def test_stands_once_in_the_log_at_start(self, gate: Guarded) -> None:
        lines = [json.loads(line) for line in gate.server.child.log_lines() if '"network access"' in line]
        assert len(lines) == 1
        assert "can call every tool" in lines[0]["without_key"]
