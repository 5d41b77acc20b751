"""Scopes: tools that a caller may not use are neither listed nor callable, over each network transport."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

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
from tests.support.guarded import Guarded, guarded
from tests.support.websocket_conversation import websocket

READS = {"echo", "read_file", "list_directory", "search_files", "file_info", "system_info"}
WRITES = {"write_file", "edit_file", "move_file", "delete_file"}
TOOLS = {
    "tools:read": READS,
    "tools:write": WRITES,
    "tools:execute": {"execute_command"},
    "tools:ai": {"claude_conversation"},
}
EVERY_TOOL = set().union(*TOOLS.values())
PLUGIN = """
from tfo_mcp.plugins import resource

@resource("secret://{name}", scope="tools:write", complete={"name": lambda typed, others: ["one"]})
def secret(name: str) -> str:
    "A secret."
    return name
"""
NUMBERS = {
    "tool": (-32001, -32602),
    "resource": (-32002, -32602),
    "prompt": (-32003, -32602),
    "reference": (-32602, -32602),
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    place = tmp_path_factory.mktemp("gate")
    (place / "secrets_plugin.py").write_text(PLUGIN)
    with guarded(place, mcp={"plugins": ["secrets_plugin"]}) as running:
        yield running


@pytest.fixture(scope="module")
def key_with(gate: Guarded) -> Callable[..., str]:
    """Returns a key with exactly these scopes; the same one each time, as creating one starts a process."""
    return cache(gate.key)


@contextmanager
def asking(gate: Guarded, transport: str, revision: str, key: str) -> Iterator[Any]:
    """Yield a function that sends a request and returns the response, its status (HTTP only) and its challenge."""
    is_stateless = revision == STATELESS
    numbers = iter(range(2, 1000))

    def message_of(method: str, params: JsonObject | None) -> JsonObject:
        return request(next(numbers), method, stateless_params(params or {}) if is_stateless else params or {})

    if transport == "http":
        with gate.client(key) as client:
            session = {} if is_stateless else {"Mcp-Session-Id": gate.session(client)}

            def over_http(method: str, params: JsonObject | None = None) -> tuple[JsonObject, int, str | None]:
                message = message_of(method, params)
                answer = client.post(
                    "/mcp", json=message, headers=stateless_headers(message) if is_stateless else session
                )
                return answer.json(), answer.status_code, answer.headers.get("www-authenticate")

            yield over_http
        return
    with websocket(gate.server, additional_headers={"X-API-Key": key}) as connection:
        if not is_stateless:
            connection.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
            connection.recv(PATIENCE)
            connection.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')

        def over_websocket(method: str, params: JsonObject | None = None) -> tuple[JsonObject, None, None]:
            connection.send(json.dumps(message_of(method, params)))
            return json.loads(connection.recv(PATIENCE)), None, None

        yield over_websocket


everywhere = pytest.mark.parametrize(
    ("transport", "revision"),
    [("http", LATEST_HANDSHAKE), ("http", STATELESS), ("websocket", LATEST_HANDSHAKE), ("websocket", STATELESS)],
)


@everywhere
@pytest.mark.parametrize(
    ("scopes", "tools"),
    [
        (["tools:read"], READS),
        (["tools:write"], WRITES),
        (["tools:execute"], {"execute_command"}),
        (["tools:ai"], {"claude_conversation"}),
        (["tools:read", "tool:write_file"], READS | {"write_file"}),
        (["tool:echo"], {"echo"}),
        (["prompts:read"], set()),
        ([], READS),
        (["admin"], EVERY_TOOL),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_exactly_the_tools_of_a_callers_scopes_are_there(
    gate: Guarded, key_with: Callable[..., str], transport: str, revision: str, scopes: list[str], tools: set[str]
) -> None:
    """R28, R83, R107."""
    with asking(gate, transport, revision, key_with(*scopes)) as ask:
        listed = ask("tools/list")[0]["result"]["tools"]
        assert {tool["name"] for tool in listed} == tools
        code = NUMBERS["tool"][revision == STATELESS]
        for name in sorted(EVERY_TOOL - tools):
            answer, status, challenge = ask("tools/call", {"name": name, "arguments": {}})
            assert (answer["error"]["code"], answer["error"]["message"]) == (code, f"Unknown tool: {name}")
            if transport == "http":
                needed = next(scope for scope, named in TOOLS.items() if name in named)
                assert status == 403
                assert challenge == f'Bearer realm="tfo-mcp", error="insufficient_scope", scope="{needed}"'
        unknown, status, challenge = ask("tools/call", {"name": "none", "arguments": {}})
        assert unknown["error"]["code"] == code
        assert (status, challenge) in ((200, None), (None, None))
        if "echo" in tools:
            called = ask("tools/call", {"name": "echo", "arguments": {"message": "hi"}})[0]
            assert called["result"]["content"][0]["text"] == "hi"


@everywhere
def test_resources_and_prompts_have_scopes_of_their_own(gate: Guarded, transport: str, revision: str) -> None:
    forbidden = {
        "resources/read": ({"uri": "status://health"}, "resource", "resources:read"),
        "prompts/get": ({"name": "debug_help", "arguments": {"code": "x", "error": "y"}}, "prompt", "prompts:read"),
        "completion/complete": (
            {
                "ref": {"type": "ref/prompt", "name": "debug_help"},
                "argument": {"name": "language", "value": "p"},
            },
            "reference",
            "prompts:read",
        ),
    }
    with asking(gate, transport, revision, gate.key("tools:read")) as ask:
        for method, field in (
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
            ("prompts/list", "prompts"),
        ):
            assert ask(method)[0]["result"][field] == []
        for method, (params, kind, scope) in forbidden.items():
            answer, status, challenge = ask(method, params)
            assert answer["error"]["code"] == NUMBERS[kind][revision == STATELESS]
            assert status in (403, None)
            assert challenge is None or f'scope="{scope}"' in challenge
        if revision == STATELESS:
            listen = {"notifications": {"resourceSubscriptions": ["status://health"]}}
            assert ask("subscriptions/listen", listen)[0]["error"]["code"] == -32602
        else:
            assert ask("resources/subscribe", {"uri": "status://health"})[0]["error"]["code"] == -32002
    with asking(gate, transport, revision, gate.key("resources:read", "prompts:read")) as ask:
        assert ask("tools/list")[0]["result"]["tools"] == []
        assert ask("resources/list")[0]["result"]["resources"]
        assert ask("prompts/list")[0]["result"]["prompts"]
        for method, (params, _, _) in forbidden.items():
            assert ask(method, params)[0]["result"]


@everywhere
def test_a_resource_with_a_scope_of_its_own_names_both_scopes(gate: Guarded, transport: str, revision: str) -> None:
    """R107."""
    asked: dict[str, JsonObject] = {
        "resources/read": {"uri": "secret://one"},
        "completion/complete": {
            "ref": {"type": "ref/resource", "uri": "secret://{name}"},
            "argument": {"name": "name", "value": "o"},
        },
    }
    if revision == STATELESS:
        asked["subscriptions/listen"] = {"notifications": {"resourceSubscriptions": ["secret://one"]}}
    else:
        asked["resources/subscribe"] = {"uri": "secret://one"}
    for scopes in (["prompts:read"], ["resources:read"], ["tools:write"]):
        with asking(gate, transport, revision, gate.key(*scopes)) as ask:
            for method, params in asked.items():
                answer, _, challenge = ask(method, params)
                assert "error" in answer, method
                assert (challenge is None) == (transport != "http")
                assert challenge is None or 'scope="resources:read tools:write"' in challenge
    with asking(gate, transport, revision, gate.key("resources:read", "tools:write")) as ask:
        assert ask("resources/read", asked["resources/read"])[0]["result"]["contents"][0]["text"] == "one"


def test_lists_that_differ_by_caller_are_private(gate: Guarded) -> None:
    """R92."""
    for scopes in (["tools:read"], ["admin"]):
        assert gate.stateless(gate.key(*scopes), "tools/list").json()["result"]["cacheScope"] == "private"


@pytest.mark.parametrize(("anonymous", "scope"), [("all", "private"), ("read", "private")])
def test_lists_are_public_only_where_everybody_sees_the_same(
    tmp_path_factory: pytest.TempPathFactory, anonymous: str, scope: str
) -> None:
    place = tmp_path_factory.mktemp("open")
    with guarded(place, mcp={"plugins": []}, security={"require_key": False, "anonymous": anonymous}) as gate:
        tools = gate.stateless(None, "tools/list").json()["result"]
        assert tools["cacheScope"] == ("public" if anonymous == "all" else scope)
        assert gate.stateless(None, "prompts/list").json()["result"]["cacheScope"] == "public"


def test_where_no_key_is_needed_one_gives_more_than_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    with guarded(tmp_path_factory.mktemp("open"), mcp={"plugins": []}, security={"require_key": False}) as gate:
        call = {"name": "write_file", "arguments": {"path": "new.txt", "content": "x"}}
        refused = gate.stateless(None, "tools/call", call)
        assert (refused.status_code, refused.json()["error"]["code"]) == (200, -32602)
        assert gate.stateless(gate.key("tools:write"), "tools/call", call).json()["result"]["isError"] is False
        assert gate.stateless("tfo_wrong", "tools/call", call).status_code == 401


def test_a_caller_without_credentials_learns_the_scopes_that_a_plugin_asks_for(tmp_path: Path) -> None:
    """R106."""
    with guarded(tmp_path, security={"require_key": False}) as gate:
        refused = gate.stateless(None, "tools/call", {"name": "needs_scopes", "arguments": {}})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="tfo-mcp", scope="tools:read orders:read orders:write"'
