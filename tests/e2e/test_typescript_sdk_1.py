"""Versions 1.22 and 1.32 of the official TypeScript SDK list and call tools of every shape.

Over stdio, and over HTTP with a key. The SDK compiles each output schema from the parts of the
root that it knows, and refuses the whole list if one fails.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node_programs import own, run_together
from tests.e2e.one_run import run
from tests.e2e.visits import BUILT_IN
from tests.support.processes import PROJECT, command, configuration_file, environment, http_server

SHAPES = {"nested", "chosen", "adopted", "paged", "planted", "filed", "placed", "grown", "written"}
TREE = {"name": "a", "children": [{"name": "b", "children": []}]}
CALLS: list[dict[str, Any]] = [
    {"name": "list_directory", "arguments": {}},
    {"name": "search_files", "arguments": {"pattern": "*.txt"}},
    {"name": "system_info", "arguments": {}},
    {"name": "nested", "arguments": {"size": {"width": 1}}},
    {"name": "chosen", "arguments": {"level": 2}},
    {"name": "adopted", "arguments": {"pet": {"kind": "wolf", "friends": [{"kind": "dog"}]}}},
    {"name": "planted", "arguments": {"tree": TREE}},
    {"name": "filed", "arguments": {"folder": {"documents": {"a": {"folder": {}}}}}},
    {"name": "placed", "arguments": {"at": [1, 2], "path": [[1, "a"]]}},
    {"name": "written", "arguments": {"query": "abc"}},
]


@pytest.fixture(scope="module", params=["sdk-1.22", "sdk-1.32"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client got."""
    root = tmp_path_factory.mktemp("root")
    (root / "a.txt").write_text("a")
    with configuration_file({"mcp": {"plugins": ["tests.support.plugins.shapes"]}}) as config:
        line = [*command(), "serve", "--transport", "stdio", *config]
        variables = environment({"PYTHONPATH": str(PROJECT)})
        server = {"command": line[0], "args": line[1:], "env": variables, "cwd": str(root)}
        return outcome({"sdk": request.param, "server": server, "calls": CALLS}, root)


def outcome(order: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Run the client and return what it printed."""
    (ended,) = run_together([[*own("typescript_sdk_1.mjs"), json.dumps(order)]], home=home)
    assert ended.code == 0, ended
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


@pytest.mark.parametrize("sdk", ["sdk-1.22", "sdk-1.32"])
def test_the_client_lists_and_calls_over_http_with_a_key(tmp_path: Path, sdk: str) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    made = run("keys", "create", "--name", "sdk", "--scope", "tools:read", directory=tmp_path, variables=state)
    headers = {"Authorization": f"Bearer {made.result.splitlines()[-1]}"}
    calls = [{"name": "echo", "arguments": {"message": "hello"}}]
    with http_server({"security": {"anonymous": "none"}}, directory=tmp_path, variables=state) as server:
        seen = outcome({"sdk": sdk, "url": server.url, "headers": headers, "calls": calls}, tmp_path)
    assert "echo" in {tool["name"] for tool in seen["tools"]}
    assert seen["results"][0]["content"] == [{"type": "text", "text": "hello"}]


def test_the_client_lists_the_built_in_tools_and_those_of_plugins(seen: dict[str, Any]) -> None:
    assert {tool["name"] for tool in seen["tools"]} >= BUILT_IN | SHAPES


def test_the_client_accepts_the_results(seen: dict[str, Any]) -> None:
    results = dict(zip((call["name"] for call in CALLS), seen["results"], strict=True))
    assert not [name for name, result in results.items() if result.get("isError")]
    assert results["planted"]["structuredContent"] == TREE
    assert results["chosen"]["structuredContent"] == {"2": "blue"}
