"""The handshake era: `initialize`, version negotiation, output per revision, ping, and the end of a session."""

import json
from typing import Any

import pytest

from tests.behaviour.conftest import OpenFresh
from tests.behaviour.matrix import CONNECTIONS, CROWDED, ONE_PROCESS, before, over, since
from tests.behaviour.test_jsonrpc_base import SUCCEEDING
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.envelopes import (
    HANDSHAKE_REVISIONS,
    LATEST_HANDSHAKE,
    STATELESS,
    JsonObject,
    initialize_params,
    stateless_params,
)

LIST_CHANGED = "notifications/tools/list_changed"


def earlier(revision: str) -> tuple[str, ...]:
    """Return the handshake revisions before that one."""
    return before(revision)


def later(revision: str) -> tuple[str, ...]:
    """Return the handshake revisions from that one on."""
    return tuple(known for known in since(revision) if known != STATELESS)


def change_tools(conversation: Conversation) -> None:
    """Change the list of tools by requests that need no session."""
    for name in ("appear", "vanish"):
        params = stateless_params({"name": name, "arguments": {"kind": "tool"}})
        result_of(conversation.call("tools/call", params, bare=True))


@over(*HANDSHAKE_REVISIONS)
def test_a_supported_version_is_agreed_to(conversation: Conversation) -> None:
    """R16."""
    assert conversation.initialized["protocolVersion"] == conversation.revision


@over(LATEST_HANDSHAKE)
@pytest.mark.parametrize("version", ["2099-01-01", STATELESS])
def test_the_latest_version_is_offered_instead_of_an_unknown_one(connect: OpenFresh, version: str) -> None:
    """R16."""
    with connect() as conversation:
        assert conversation.initialize(version)["protocolVersion"] == LATEST_HANDSHAKE


@over(*HANDSHAKE_REVISIONS)
def test_the_server_introduces_itself(conversation: Conversation) -> None:
    """R17."""
    result = conversation.initialized
    assert {"protocolVersion", "capabilities", "serverInfo"} <= set(result)
    assert set(result) <= {"protocolVersion", "capabilities", "serverInfo", "instructions"}
    assert isinstance(result["serverInfo"]["name"], str)
    assert isinstance(result["serverInfo"]["version"], str)


@over(LATEST_HANDSHAKE)
def test_initialize_without_what_it_needs_is_refused_and_may_be_tried_again(connect: OpenFresh) -> None:
    """R5, R17."""
    with connect() as conversation:
        for missing in ("protocolVersion", "capabilities", "clientInfo"):
            params = {name: value for name, value in initialize_params(LATEST_HANDSHAKE).items() if name != missing}
            assert conversation.error("initialize", params)["code"] == -32602
        assert conversation.handshake()["protocolVersion"] == LATEST_HANDSHAKE


@ONE_PROCESS("a change that another process made before `initialized` may be announced after it")
@over(HANDSHAKE_REVISIONS[0], LATEST_HANDSHAKE)
def test_a_client_hears_of_changes_only_after_initialized(connect: OpenFresh) -> None:
    """R18."""
    with connect() as conversation:
        conversation.initialize()
        conversation.attend()
        change_tools(conversation)
        assert not conversation.waiting()
        conversation.notify("notifications/initialized")
        assert conversation.result("ping") == {}
        assert not conversation.waiting()
        change_tools(conversation)
        conversation.notification(LIST_CHANGED)


@over(LATEST_HANDSHAKE)
def test_only_ping_is_served_before_initialize(connect: OpenFresh) -> None:
    """R19."""
    with connect() as conversation:
        if conversation.ordered:
            assert conversation.result("ping") == {}
        for method in ("tools/list", "tools/call", "logging/setLevel", "resources/subscribe", "shutdown"):
            assert conversation.error(method, {"name": "echo"})["code"] == -32600, method
        assert conversation.handshake()["protocolVersion"] == LATEST_HANDSHAKE
        conversation.result("tools/list")


@over(LATEST_HANDSHAKE)
def test_only_ping_is_served_before_initialized(connect: OpenFresh) -> None:
    """R19."""
    with connect() as conversation:
        conversation.initialize()
        assert conversation.result("ping") == {}
        assert conversation.error("tools/list")["code"] == -32600
        conversation.notify("notifications/initialized")
        conversation.result("tools/list")
        conversation.notify("notifications/initialized")
        conversation.result("tools/list")


@over(*HANDSHAKE_REVISIONS)
def test_a_second_initialize_is_refused_and_changes_nothing(conversation: Conversation) -> None:
    """R19."""
    for version in HANDSHAKE_REVISIONS:
        assert conversation.error("initialize", initialize_params(version))["code"] == -32600
    assert ("title" in tool(conversation, "nothing")) == (conversation.revision >= "2025-06-18")
    assert conversation.start_tool("ask_roots")
    conversation.answer(conversation.server_request("roots/list"), {"roots": []})


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("name", ["ask_name", "ask_model", "ask_roots", "ask_visit", "ask_all", "needs_sampling"])
def test_a_client_is_never_asked_what_it_did_not_declare(bare: Conversation, name: str) -> None:
    """R20."""
    reply = bare.reply(bare.start_tool(name))
    assert "error" in reply or reply["result"]["isError"], reply
    assert not bare.settle()


@over(*earlier("2025-11-25"))
def test_a_client_of_a_revision_without_modes_is_asked_by_a_plain_form_only(conversation: Conversation) -> None:
    """R20, R21, R96: before 2025-06-18 a client may still declare elicitation, since capabilities are an open set."""
    conversation.start_tool("ask_name")
    question = conversation.server_request("elicitation/create")
    assert set(question["params"]) == {"message", "requestedSchema"}
    conversation.answer(question, {"action": "decline"})
    reply = conversation.reply(conversation.start_tool("ask_visit"))
    assert "error" in reply or reply["result"]["isError"], reply


def tool(conversation: Conversation, name: str) -> JsonObject:
    """Return the entry of a tool in the list."""
    return next(entry for entry in conversation.everything("tools/list", "tools") if entry["name"] == name)


def keys_within(value: Any) -> set[str]:
    """Return all keys within a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*(keys_within(child) for child in value.values()))
    return set().union(*(keys_within(child) for child in value)) if isinstance(value, list) else set()


def content_types(conversation: Conversation) -> list[str]:
    """Return the block types of a result that contains every kind of content."""
    return [block["type"] for block in conversation.tool("mixed")["content"]]


@over("2024-11-05")
def test_there_is_no_audio_in_the_first_revision(conversation: Conversation) -> None:
    """R21."""
    assert content_types(conversation) == ["text", "image", "resource", "resource", "resource", "text"]
    assert "annotations" not in tool(conversation, "nothing")


@over("2025-03-26")
def test_audio_and_tool_annotations_came_with_the_second_revision(conversation: Conversation) -> None:
    """R21."""
    assert content_types(conversation) == ["text", "image", "audio", "resource", "resource", "text"]
    assert tool(conversation, "nothing")["annotations"]["readOnlyHint"] is True


@over(*earlier("2025-06-18"))
def test_there_is_no_structure_and_no_title_before_june_2025(conversation: Conversation) -> None:
    """R21."""
    assert "structuredContent" not in conversation.tool("point", {"x": 1})
    entries = conversation.everything("tools/list", "tools")
    assert not any("outputSchema" in entry or "title" in entry for entry in entries)
    for method, member in (("resources/list", "resources"), ("prompts/list", "prompts")):
        assert not any("title" in entry for entry in conversation.everything(method, member))


@over(*later("2025-06-18"))
def test_structure_titles_and_links_came_in_june_2025(conversation: Conversation) -> None:
    """R21."""
    assert conversation.tool("point", {"x": 1})["structuredContent"] == {"x": 1, "y": 0}
    assert "outputSchema" in tool(conversation, "point")
    assert tool(conversation, "nothing")["title"] == "Nothing at all"
    assert content_types(conversation)[-1] == "resource_link"


@over(*earlier("2025-11-25"))
def test_there_are_no_icons_before_november_2025(conversation: Conversation) -> None:
    """R21."""
    assert "icons" not in tool(conversation, "nothing")


@over(*since("2025-11-25"))
def test_icons_came_in_november_2025(conversation: Conversation) -> None:
    """R21."""
    assert tool(conversation, "nothing")["icons"][0]["mimeType"] == "image/png"


@over(*HANDSHAKE_REVISIONS)
def test_nothing_of_the_stateless_era_is_in_results(conversation: Conversation) -> None:
    """R21."""
    found = keys_within(conversation.initialized)
    for method, params in SUCCEEDING.items():
        if method != "server/discover":
            found |= keys_within(conversation.result(method, params))
    assert not found & {
        "resultType",
        "ttlMs",
        "cacheScope",
        "inputRequests",
        "requestState",
        "execution",
        "taskSupport",
    }


@over("2024-11-05")
def test_progress_has_no_message_in_the_first_revision(conversation: Conversation) -> None:
    """R21, R75."""
    conversation.text("progress", {"values": [1]}, meta={"progressToken": "t"})
    assert set(conversation.notification("notifications/progress")["params"]) == {"progressToken", "progress", "total"}
    assert "completions" not in conversation.initialized["capabilities"]


@over(*later("2025-03-26"))
def test_progress_has_a_message_from_the_second_revision_on(conversation: Conversation) -> None:
    """R21, R75."""
    conversation.text("progress", {"values": [1]}, meta={"progressToken": "t"})
    assert conversation.notification("notifications/progress")["params"]["message"] == "at 1"
    assert "completions" in conversation.initialized["capabilities"]


@over(*HANDSHAKE_REVISIONS)
def test_every_feature_that_is_served_is_declared(conversation: Conversation) -> None:
    """R22."""
    capabilities = conversation.initialized["capabilities"]
    assert {"tools", "prompts", "resources", "logging"} <= set(capabilities)
    assert capabilities["tools"]["listChanged"] is True
    assert capabilities["prompts"]["listChanged"] is True
    assert capabilities["resources"] == {"subscribe": True, "listChanged": True}
    assert not {"tasks", "experimental"} & set(capabilities)
    if conversation.revision >= "2025-06-18":
        assert capabilities["extensions"] == {"io.modelcontextprotocol/ui": {}}


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize(
    "method",
    [
        "tasks/list",
        "tasks/get",
        "tasks/result",
        "tasks/cancel",
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "server/discover",
        "subscriptions/listen",
    ],
)
def test_methods_of_features_that_are_not_declared_are_not_found(conversation: Conversation, method: str) -> None:
    """R22, R32."""
    assert conversation.error(method, {"notifications": {}, "taskId": "a"})["code"] == -32601


@over(*HANDSHAKE_REVISIONS)
def test_a_ping_is_answered_while_tools_run(conversation: Conversation, key: str) -> None:
    """R23, R37."""
    slow = [conversation.start_tool(name, {"key": key}) for name in ("hold", "hold_thread")]
    conversation.text("story", {"key": key, "until": "held"})
    assert conversation.result("ping") == {}
    conversation.text("open_gate", {"key": key})
    for identifier in slow:
        result_of(conversation.reply(identifier))


@over("2025-11-25")
def test_unknown_task_metadata_is_ignored_where_tasks_are_not_declared(conversation: Conversation) -> None:
    """R22, R99."""
    params = {"name": "echo", "arguments": {"message": "hi"}, "task": {"ttl": 1000}}
    assert conversation.result("tools/call", params)["content"][0]["text"] == "hi"


@over(LATEST_HANDSHAKE)
def test_shutdown_lets_calls_in_flight_finish_and_takes_no_more(connect: OpenFresh, key: str) -> None:
    """R19, R35: by this server's own method `shutdown`."""
    with connect() as conversation:
        conversation.handshake()
        slow = conversation.start_tool("hold", {"key": key})
        conversation.text("story", {"key": key, "until": "held"})
        assert conversation.result("shutdown") == {}
        refused = conversation.call("tools/list")
        assert error_of(refused)["message"], json.dumps(refused)
        open_gate = stateless_params({"name": "open_gate", "arguments": {"key": key}})
        result_of(conversation.call("tools/call", open_gate, bare=True))
        assert result_of(conversation.reply(slow))["content"][0]["text"] == f"{key} was opened"


@over(LATEST_HANDSHAKE, transports=CONNECTIONS)
def test_shutdown_ends_the_connection_and_with_its_only_client_the_process(connect: OpenFresh) -> None:
    """R35: by this server's own method `shutdown`."""
    with connect() as conversation:
        conversation.handshake()
        assert conversation.result("shutdown") == {}
        assert not conversation.await_end()
        if conversation.transport in CROWDED:  # the same process serves other clients
            assert conversation.child.process.poll() is None
        else:
            assert conversation.child.wait() == 0
