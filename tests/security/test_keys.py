"""API keys: where clients may send them, why the server refuses some, and when they end."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request, stateless_headers, stateless_params
from tests.support.guarded import Guarded, guarded, subprotocol
from tests.support.http_client import EVENT_STREAM, HEADERS
from tests.support.processes import http_server, run_command
from tests.support.websocket_conversation import websocket

ENDS_WITHIN = 5.0
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))

OTHER_SCHEMES = [
    "Basic YTpi",
    'Digest username="a"',
    "Negotiate",
    "",
    "tfo_x",
    ":",
    "Bearertfo_x",
    "Basic  Bearer x",
]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(scope="module")
def key(gate: Guarded) -> str:
    return gate.key()


def open_websocket(gate: Guarded, **options: Any) -> int:
    """Attempt a WebSocket handshake and return the HTTP status of the response."""
    try:
        with websocket(gate.server, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@contextmanager
def streaming(client: httpx.Client, verb: str, path: str, **options: Any) -> Iterator[httpx.Response]:
    headers = {"Accept": EVENT_STREAM, **options.pop("headers", {})}
    with client.stream(verb, path, headers=headers, **options) as answer:
        yield answer


class TestShowing:
    @pytest.mark.parametrize(
        ("verb", "path"),
        [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/sse"), ("POST", "/messages?session_id=x")],
    )
    def test_without_a_key_nobody_comes_in(self, gate: Guarded, verb: str, path: str) -> None:
        with gate.client() as client:
            answer = client.request(verb, path, json=INITIALIZE if verb == "POST" else None)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="tfo-mcp"')
        assert "needs an API key or a token: send Authorization: Bearer" in answer.text

    def test_without_a_key_no_websocket_is_opened(self, gate: Guarded) -> None:
        assert open_websocket(gate) == 401

    def test_health_and_nothing_else_needs_no_key(self, gate: Guarded) -> None:
        with gate.client() as client:
            assert client.get("/healthz").status_code == 200

    @pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
    def test_a_key_is_shown_in_a_header(self, gate: Guarded, key: str, header: str) -> None:
        value = f"Bearer {key}" if header == "Authorization" else key
        message = request(1, "tools/list", stateless_params())
        with gate.client(**{header: value}) as client:
            assert client.post("/mcp", json=INITIALIZE).json()["result"]
            assert client.post("/mcp", json=message, headers=stateless_headers(message)).json()["result"]["tools"]
            with streaming(client, "GET", "/sse") as stream:
                assert stream.status_code == 200
        assert open_websocket(gate, additional_headers={header: value}) == 101

    def test_a_browser_shows_a_key_as_a_subprotocol_which_is_not_echoed(self, gate: Guarded, key: str) -> None:
        with websocket(gate.server, subprotocols=[Subprotocol(subprotocol(key)), Subprotocol("mcp")]) as connection:
            assert connection.subprotocol == "mcp"
            assert connection.response is not None
            assert key not in str(connection.response.headers)
            connection.send(json.dumps(INITIALIZE))
            assert json.loads(connection.recv(PATIENCE))["result"]["protocolVersion"] == LATEST_HANDSHAKE
        assert open_websocket(gate, subprotocols=[Subprotocol(subprotocol("tfo_no")), Subprotocol("mcp")]) == 401
        assert open_websocket(gate, subprotocols=[Subprotocol(subprotocol(key))]) == 400

    @pytest.mark.parametrize("name", ["key", "api_key", "access_token", "authorization", "token"])
    def test_a_key_in_the_query_string_is_not_looked_at(self, gate: Guarded, key: str, name: str) -> None:
        """R107."""
        with gate.client() as client:
            for path in ("/mcp", "/sse", "/ws"):
                assert client.get(f"{path}?{name}={key}").status_code in (401, 426)

    def test_two_of_them_are_one_too_many(self, gate: Guarded, key: str) -> None:
        with gate.client(key, **{"X-API-Key": key}) as client:
            answer = client.post("/mcp", json=INITIALIZE)
        assert (answer.status_code, answer.text) == (400, "Send one API key or token, in one place\n")
        twice = [*HEADERS.items(), ("X-API-Key", key), ("X-API-Key", key)]
        assert httpx.post(gate.server.url, json=INITIALIZE, headers=twice).status_code == 400

    @pytest.mark.parametrize("value", OTHER_SCHEMES)
    @pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/messages?session_id=x"])
    def test_another_kind_of_authorization_gets_a_challenge(self, gate: Guarded, value: str, path: str) -> None:
        """R106."""
        with gate.client(Authorization=value) as client:
            answer = client.post(path, json=INITIALIZE)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="tfo-mcp"')
            assert client.get("/sse").status_code == 401
            assert "Bearer" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("value", ["Bearer", "BEARER", "Bearer a b", "Bearer ,"])
    def test_a_bearer_without_a_key_is_a_wrong_credential(self, gate: Guarded, value: str) -> None:
        """R106."""
        with gate.client(Authorization=value) as client:
            answer = client.post("/mcp", json=INITIALIZE)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_a_key_is_taken_besides_the_credentials_for_a_proxy(self, gate: Guarded, key: str) -> None:
        with gate.client(Authorization="Basic YTpi", **{"X-API-Key": key}) as client:
            assert client.post("/mcp", json=INITIALIZE).status_code == 200

    @pytest.mark.parametrize(("settings", "status"), [({}, 401), ({"require_key": False}, 200)])
    def test_where_credentials_are_optional_another_scheme_is_a_sign_of_a_proxy(
        self, settings: dict[str, bool], status: int
    ) -> None:
        """R106."""
        with http_server({"security": {"anonymous": "all", **settings}}) as open_server:
            expected = {"": 200, "Bearer": 401, "Bearer x": 401}
            for value in (*OTHER_SCHEMES, "Bearer", "Bearer x"):
                headers = {**HEADERS, "Authorization": value}
                answer = httpx.post(open_server.url, json=INITIALIZE, headers=headers)
                assert answer.status_code == expected.get(value, status), value
                assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


class TestMutations:
    def test_no_key_that_differs_in_anything_is_taken(self, gate: Guarded, key: str) -> None:
        other = gate.key()
        prefix, key_id, secret, checksum = key.split("_")
        _, other_id, other_secret, other_checksum = other.split("_")
        mutations = {key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :] for place in range(len(key))}
        mutations |= {key[:place] + key[place + 1 :] for place in range(len(key))}
        mutations |= {key + "a", key.swapcase(), key.upper(), key[:-1], f"{key}_{checksum}", key.replace("_", "-")}
        mutations |= {
            f"{prefix}_{other_id}_{secret}_{checksum}",
            f"{prefix}_{key_id}_{other_secret}_{other_checksum}",
            f"{prefix}_{key_id}_{other_secret}_{checksum}",
            f"{prefix}_{key_id}_{secret}_{other_checksum}",
            f"{prefix}_{key_id}__{checksum}",
        }
        assert len(mutations) > 120
        with gate.client() as client:
            for mutation in mutations:
                answer = client.post("/mcp", json=INITIALIZE, headers={"X-API-Key": mutation})
                assert answer.status_code == 401, mutation
                assert answer.headers["www-authenticate"] == 'Bearer realm="tfo-mcp", error="invalid_token"'

    def test_a_typing_error_is_told_from_a_wrong_key_and_from_no_key(self, gate: Guarded, key: str) -> None:
        from tfo_mcp.domain.keys import generate

        cases = {
            key[:-1] + ("a" if key[-1] != "a" else "b"): "has a typing error (its checksum is wrong): copy it again",
            generate()[1]: "is unknown, was revoked, or has expired",
            "hello": "Not an API key: the form is tfo_<id>_<secret>_<checksum>",
            "tfo_hello": "Not an API key: the form is tfo_<id>_<secret>_<checksum>",
        }
        with gate.client() as client:
            for shown, words in cases.items():
                assert words in client.post("/mcp", json=INITIALIZE, headers={"X-API-Key": shown}).text


class TestEnd:
    def watch(self, gate: Guarded, key: str, stack: ExitStack) -> dict[str, Callable[[], object]]:
        """Open one long-lived connection of each kind; return functions that wait for their ends."""
        client = stack.enter_context(gate.client(key))
        session = {"Mcp-Session-Id": gate.session(client)}
        listen = request("l", "subscriptions/listen", stateless_params({"notifications": {"toolsListChanged": True}}))
        streams = {
            "GET": stack.enter_context(streaming(client, "GET", "/mcp", headers=session)),
            "SSE": stack.enter_context(streaming(client, "GET", "/sse")),
            "subscription": stack.enter_context(
                streaming(client, "POST", "/mcp", json=listen, headers={**HEADERS, **stateless_headers(listen)})
            ),
        }
        assert {stream.status_code for stream in streams.values()} == {200}
        socket = stack.enter_context(
            websocket(gate.server, additional_headers={"Authorization": f"Bearer {key}"}, close_timeout=1)
        )

        def ended() -> int | None:
            with pytest.raises(ConnectionClosed):
                socket.recv(ENDS_WITHIN)
            return socket.close_code

        return {name: stream.read for name, stream in streams.items()} | {"websocket": ended}

    def test_what_a_revoked_key_has_open_ends_within_five_seconds(self, gate: Guarded) -> None:
        key, other = gate.key(), gate.key()
        with ExitStack() as stack:
            open_ones = self.watch(gate, key, stack)
            gate.keys("revoke", key.split("_")[1])
            revoked = monotonic()
            outcomes = {name: end() for name, end in open_ones.items()}
            assert monotonic() - revoked < ENDS_WITHIN
            assert outcomes["websocket"] == 3000
        assert gate.stateless(key, "tools/list").status_code == 401
        assert gate.stateless(other, "tools/list").status_code == 200

    def test_a_key_ends_when_it_expires(self, gate: Guarded) -> None:
        key = gate.key(expires="3s")
        with ExitStack() as stack:
            for end in self.watch(gate, key, stack).values():
                end()
        assert "has expired" in gate.stateless(key, "tools/list").text

    def test_a_call_that_runs_is_ended_and_told(self, gate: Guarded) -> None:
        key = gate.key("admin")
        with websocket(gate.server, additional_headers={"X-API-Key": key}) as connection:
            connection.send(json.dumps(INITIALIZE))
            connection.recv(PATIENCE)
            connection.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
            connection.send(json.dumps(request(2, "tools/call", {"name": "hold", "arguments": {"key": "revoked"}})))
            connection.send(json.dumps(request(3, "ping")))
            assert json.loads(connection.recv(PATIENCE))["id"] == 3
            gate.keys("revoke", key.split("_")[1])
            error = json.loads(connection.recv(ENDS_WITHIN))["error"]
            assert (error["code"], error["data"]["kind"]) == (-31002, "unauthenticated")

    def test_after_a_rotation_both_keys_are_the_same_caller_for_a_while(self, gate: Guarded) -> None:
        old = gate.key("admin")
        new = gate.keys("rotate", old.split("_")[1], "--grace", "3s").splitlines()[-1]
        with gate.client(old) as client:
            session = {"Mcp-Session-Id": gate.session(client)}
        with gate.client(new) as client:
            assert client.post("/mcp", json=request(2, "ping"), headers=session).status_code == 200
            wait_until(lambda: gate.stateless(old, "tools/list").status_code == 401, "the old key has ended")
            assert client.post("/mcp", json=request(3, "ping"), headers=session).status_code == 200


class TestKeeping:
    def test_the_key_stands_alone_on_the_last_line_and_nowhere_else(self, gate: Guarded) -> None:
        printed = gate.keys("create", "--name", "ada", "--scope", "tool:echo", "--expires", "90d")
        *_, key = printed.splitlines()
        assert printed.count(key) == 1
        kept = "".join(path.read_text() for path in gate.place.iterdir() if path.is_file())
        kept += gate.keys("list") + gate.keys("list", "--json") + gate.server.child.stderr()
        for secret in (key, key.split("_")[2]):
            assert secret not in kept

    def test_the_files_are_the_owners_alone(self, gate: Guarded, key: str) -> None:
        for name in ("keys.json", "keys.json.pepper", "audit.jsonl"):
            assert stat.S_IMODE((gate.place / name).stat().st_mode) == 0o600

    def test_the_list_tells_which_are_good(self, gate: Guarded) -> None:
        gone, late = gate.key(name="gone"), gate.key(name="late", expires="1s")
        gate.keys("revoke", gone.split("_")[1])
        ids = {"revoked": gone.split("_")[1], "expired": late.split("_")[1]}

        def told() -> bool:
            found = {entry["id"]: entry["status"] for entry in json.loads(gate.keys("list", "--json"))}
            return all(found[key_id] == status for status, key_id in ids.items())

        wait_until(told, "one is revoked and one has expired")

    def test_a_file_that_becomes_unreadable_changes_nothing(self, tmp_path: Path) -> None:
        with guarded(tmp_path) as gate:
            key, file = gate.key(), tmp_path / "keys.json"
            assert gate.stateless(key, "tools/list").status_code == 200
            good = file.read_bytes()
            for bad in (b"{", b"[]", good.replace(b'"digest"', b'"dogest"'), b'{"format": 2, "keys": []}'):
                (tmp_path / "new").write_bytes(bad)
                (tmp_path / "new").chmod(0o600)
                os.rename(tmp_path / "new", file)
                wait_until(
                    lambda: (
                        (gate.stateless(key, "tools/list"), gate.server.child.stderr())[1].count("stay in force") > 0
                    ),
                    "the server has noticed",
                )
                assert gate.stateless(key, "tools/list").status_code == 200
            (tmp_path / "new").write_bytes(good)
            (tmp_path / "new").chmod(0o600)
            os.rename(tmp_path / "new", file)
            gate.keys("revoke", key.split("_")[1])
            wait_until(lambda: gate.stateless(key, "tools/list").status_code == 401, "the key is revoked")

    @pytest.mark.parametrize(
        ("contents", "mode", "words"),
        [
            ('{"format": 1, "keys": []}', 0o644, "may be read or written by others: run chmod 600 on it"),
            ("{", 0o600, "is not a file of keys: restore it, or move it away"),
            ('{"format": 9, "keys": []}', 0o600, "has a format that this version does not support"),
        ],
    )
    def test_a_file_that_cannot_be_used_stops_the_start(
        self, tmp_path: Path, contents: str, mode: int, words: str
    ) -> None:
        file = tmp_path / "keys.json"
        file.write_text(contents)
        file.chmod(mode)
        for line in (["keys", "list"], ["serve", "--transport", "http", "--port", "0"]):
            done = run_command(*line, variables={"TELEMETRYFLOW_MCP_SECURITY_KEYS_FILE": str(file)})
            assert done.returncode == 2
            assert words in done.stderr

    def test_under_another_pepper_no_key_is_good(self, tmp_path: Path) -> None:
        with guarded(tmp_path, security={"key_pepper": "p" * 32}) as gate:
            key = gate.key()
            assert gate.stateless(key, "tools/list").status_code == 200
        assert not (tmp_path / "keys.json.pepper").exists()
        (tmp_path / "root").rmdir()
        with guarded(tmp_path, security={"key_pepper": "q" * 32}) as gate:
            assert gate.stateless(key, "tools/list").status_code == 401

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["create", "--name", "x", "--scope", "all"], "Unknown scope: all"),
            (["create", "--name", " "], "must be printable text"),
            (["create", "--name", "x", "--expires", "soon"], "as in 90d"),
            (["revoke", "none"], "There is no key with the id none"),
            (["rotate", "none"], "There is no key with the id none"),
        ],
    )
    def test_what_cannot_be_done_says_why(self, tmp_path: Path, arguments: list[str], words: str) -> None:
        variables = {"TELEMETRYFLOW_MCP_SECURITY_KEYS_FILE": str(tmp_path / "keys.json"), "COLUMNS": "200"}
        done = run_command("keys", *arguments, variables=variables)
        assert done.returncode == 2
        assert words in done.stderr
