"""Conversations with Claude outlive the process in SQLite, and move between replicas in PostgreSQL."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import PEPPER, access_to
from tests.support.guarded import Guarded, guarded
from tests.support.messages_api import MessagesApi, messages_api
from tests.support.messages_format import blocks_of
from tests.support.postgres import PostgresServer
from tests.support.processes import PROJECT, http_server

KEY = "sk-ant-storage-0123456789"


@pytest.fixture(scope="module")
def api() -> Iterator[MessagesApi]:
    with messages_api(KEY) as server:
        yield server


def sections(api: MessagesApi, url: str) -> dict[str, dict[str, Any]]:
    return {
        "claude": {"api_key": KEY, "base_url": api.url},
        "storage": {"url": url, "timeout_seconds": 20},
        "security": {"key_pepper": PEPPER},
    }


def send(gate: Guarded, key: str, message: str, **arguments: Any) -> dict[str, Any]:
    result = gate.tool(key, "claude_conversation", {"message": message, **arguments})
    assert not result["isError"], result["content"]
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def last_texts(api: MessagesApi) -> list[str]:
    return ["".join(block["text"] for block in blocks_of(each)) for each in api.requests[-1].body["messages"]]


def test_ten_turns_survive_a_restart_with_sqlite(api: MessagesApi, tmp_path: Path) -> None:
    settings = sections(api, f"sqlite://{tmp_path}/state/tfo-mcp.db")
    with guarded(tmp_path, **settings) as gate:
        key = gate.key("tools:ai")
        conversation = send(gate, key, "Turn 0")["conversation_id"]
        for turn in range(1, 5):
            send(gate, key, f"Turn {turn}", conversation_id=conversation)
    with http_server(tmp_path / "tfo-mcp.yaml", variables={"PYTHONPATH": str(PROJECT)}) as server:
        again = Guarded(server, tmp_path)
        for turn in range(5, 10):
            result = send(again, key, f"Turn {turn}", conversation_id=conversation)
    assert last_texts(api)[::2] == [f"Turn {turn}" for turn in range(10)]
    assert last_texts(api)[1::2] == [f"You said: Turn {turn}" for turn in range(9)]
    assert result["conversation"]["input_tokens"] == 20


def test_two_replicas_continue_one_conversation(
    api: MessagesApi, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = postgres.new_database()
    access_to(url).upgrade()
    with ExitStack() as stack:
        here, there = (
            stack.enter_context(guarded(tmp_path_factory.mktemp("replica"), **sections(api, url))) for _ in range(2)
        )
        key = here.key("tools:ai", "resources:read")
        conversation = send(here, key, "Turn 0")["conversation_id"]
        for turn in range(1, 4):
            send((here, there)[turn % 2], key, f"Turn {turn}", conversation_id=conversation)
        assert last_texts(api)[::2] == [f"Turn {turn}" for turn in range(4)]
        listed = there.stateless(key, "resources/list").json()["result"]["resources"]
        assert f"conversation://{conversation}" in [entry["uri"] for entry in listed]
