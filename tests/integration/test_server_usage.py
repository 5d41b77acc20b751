"""Usage of the server itself: its own spans in the store, as the resource analytics://summary and `tfo-mcp stats`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.conversations import result_of
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.guarded import guarded
from tests.support.messages_api import messages_api
from tests.support.processes import run_command
from tests.support.stdio_conversation import StdioConversation
from tests.support.telemetry_stores import RunningStore, asking, telemetry_store

KEY = "sk-ant-usage-0123456789"
MODEL = "claude-sonnet-5-5"
STORED = {"TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with telemetry_store() as running:
        yield running


@pytest.fixture(scope="module")
def client(store: RunningStore) -> Iterator[StdioConversation]:
    """Yield a client after five calls: three of echo, one that fails, and one of Claude."""
    with messages_api(KEY) as api:
        variables = {
            "TELEMETRYFLOW_MCP_CLAUDE_API_KEY": KEY,
            "TELEMETRYFLOW_MCP_CLAUDE_BASE_URL": api.url,
            "TELEMETRYFLOW_MCP_CLAUDE_MODEL": MODEL,
        }
        with asking(store, variables) as conversation:
            for number in range(3):
                conversation.text("echo", {"message": str(number)})
            assert conversation.tool("telemetry_sql", {"query": "DROP TABLE otel_logs"})["isError"]
            api.answer("Hello", usage={"input_tokens": 1200, "output_tokens": 34})
            asked = conversation.start_tool("claude_conversation", {"message": "Hi"})
            assert not result_of(conversation.reply(asked, 9 * PATIENCE))["isError"]
            yield conversation


def summary(client: StdioConversation) -> dict[str, Any]:
    """Return the summary once the spans of all calls have arrived, and none arrived while it was made."""

    def complete() -> dict[str, Any] | None:
        contents = client.result("resources/read", {"uri": "analytics://summary"})["contents"]
        found: dict[str, Any] = json.loads(contents[0]["text"])
        calls = {sum(row["calls"] for row in found[part]) for part in ("methods", "times")} | {found["total"]["calls"]}
        is_whole = len(found["tools"]) >= 3 and found["models"] and len(calls) == len(requests_in(found)) == 1
        return found if is_whole else None

    found = wait_until(complete, "the spans of all calls", 3 * PATIENCE)
    assert found is not None
    return found


def requests_in(found: dict[str, Any]) -> set[int]:
    """Return the numbers of requests to models by tool, by caller and by model."""
    return {sum(row["requests"] for row in found[part]) for part in ("tools", "callers", "models")}


def test_calls_are_counted_by_tool_method_and_caller(client: StdioConversation) -> None:
    found = summary(client)
    tools = {row["name"]: row for row in found["tools"]}
    assert (tools["echo"]["calls"], tools["echo"]["errors"]) == (3, 0)
    assert (tools["telemetry_sql"]["calls"], tools["telemetry_sql"]["errors"]) == (1, 1)
    assert 0 < tools["echo"]["p50_ms"] <= tools["echo"]["p95_ms"] <= tools["echo"]["p99_ms"]
    methods = {row["name"]: row["calls"] for row in found["methods"]}
    assert methods["tools/call"] == 5
    assert [row["name"] for row in found["callers"]] == ["owner"]
    assert found["total"]["calls"] == sum(methods.values()) == sum(row["calls"] for row in found["times"])


def test_tokens_are_counted_by_model_and_time(client: StdioConversation) -> None:
    found = summary(client)
    (model,) = found["models"]
    assert (model["name"], model["requests"]) == (MODEL, 1)
    assert (model["input_tokens"], model["output_tokens"]) == (1200, 34)
    assert sum(row["input_tokens"] for row in found["times"]) == 1200


def test_tokens_are_counted_by_the_tool_and_the_caller_of_the_call(client: StdioConversation) -> None:
    found = summary(client)
    tools = {row["name"]: (row["requests"], row["input_tokens"], row["output_tokens"]) for row in found["tools"]}
    assert tools["claude_conversation"] == (1, 1200, 34)
    assert tools["echo"] == (0, 0, 0)
    (caller,) = found["callers"]
    assert (caller["name"], caller["requests"], caller["input_tokens"]) == ("owner", 1, 1200)
    assert caller["cost_usd"] == found["models"][0]["cost_usd"]


def test_each_caller_has_the_tokens_of_its_calls_and_of_those_that_the_model_makes(tmp_path: Path) -> None:
    with telemetry_store() as own, messages_api(KEY) as api:
        variables = {"XDG_STATE_HOME": os.fspath(own.home), "TELEMETRYFLOW_MCP_CLAUDE_API_KEY": KEY, **STORED}
        claude = {"base_url": api.url, "model": MODEL}
        with guarded(tmp_path, variables, mcp={"plugins": []}, claude=claude) as gate:
            ann, ben = (gate.key("admin", name=name) for name in ("ann", "ben"))
            api.use(("echo", {"message": "from the model"}))
            api.answer("Done", usage={"input_tokens": 700, "output_tokens": 7})
            asked = {"message": "Hi", "tools": ["echo"], "max_turns": 2}
            assert not gate.tool(ann, "claude_conversation", asked)["isError"]
            api.answer("Hello", usage={"input_tokens": 40, "output_tokens": 4})
            assert not gate.tool(ben, "claude_conversation", {"message": "Hi"})["isError"]

            def complete() -> dict[str, Any] | None:
                found = json.loads(run_command("stats", "--json", variables=variables).stdout)
                return found if requests_in(found) == {3} else None

            found = wait_until(complete, "the spans of all requests", 3 * PATIENCE)
    assert found is not None
    requests = sorted(row["requests"] for row in found["callers"] if row["requests"])
    assert requests == [1, 2], found["callers"]
    (of_ben,) = (row for row in found["callers"] if row["requests"] == 1)
    assert (of_ben["input_tokens"], of_ben["output_tokens"]) == (40, 4)
    by_tool = {row["name"]: row["requests"] for row in found["tools"]}
    assert by_tool == {"claude_conversation": 3} | {name: 0 for name in by_tool if name != "claude_conversation"}


def test_the_command_shows_tables_and_a_plot_or_json(client: StdioConversation, store: RunningStore) -> None:
    summary(client)
    variables = {"XDG_STATE_HOME": os.fspath(store.home), "COLUMNS": "160", **STORED}
    shown = run_command("stats", "--hours", "1", variables=variables).stdout
    assert "tfo-mcp, " in shown
    for word in ("Tools", "echo", "Methods", "tools/call", "Callers", "owner", "Models", MODEL, "Calls per 150 s", "█"):
        assert word in shown, shown
    assert shown.count("1,200") == 3, shown  # of the tool, the caller and the model
    found = json.loads(run_command("stats", "--json", variables=variables).stdout)
    assert {row["name"]: row["calls"] for row in found["tools"]}["echo"] == 3


def test_a_server_that_was_not_called_has_nothing_to_show() -> None:
    with telemetry_store() as empty:
        variables = {"XDG_STATE_HOME": os.fspath(empty.home), **STORED}
        assert ": 0 calls" in run_command("stats", variables=variables).stdout
        found = json.loads(run_command("stats", "--json", variables=variables).stdout)
        assert (found["total"]["calls"], found["tools"], found["times"]) == (0, [], [])
