"""The stateless era: every request stands alone, and both eras are served at the same time."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.behaviour.conftest import OpenFresh, settings
from tests.behaviour.matrix import FEW, LOCAL, NETWORK, REGISTERS_LOCALLY, REVISIONS, Place, over
from tests.behaviour.test_jsonrpc_base import SUCCEEDING
from tests.support.conversations import EVERYTHING, Conversation, error_of, result_of
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, META_PREFIX, STATELESS, JsonObject
from tests.support.http_conversation import HttpConversation
from tests.support.services import Services, services

VERSION = f"{META_PREFIX}protocolVersion"
CAPABILITIES = f"{META_PREFIX}clientCapabilities"
EVERY_METHOD = {**SUCCEEDING, "subscriptions/listen": {"notifications": {}}, "no/such/method": {}}
GONE = ("ping", "shutdown", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")


def http_status(conversation: Conversation, reply: JsonObject) -> int | None:
    """Return the HTTP status of a reply, or None on other transports."""
    return conversation.status(reply["id"]) if isinstance(conversation, HttpConversation) else None


@over(STATELESS)
def test_capabilities_are_those_of_the_request_alone(conversation: Conversation) -> None:
    """R24, R29."""
    assert conversation.text("needs_sampling", capabilities={"sampling": {}}) == "There is a model"
    reply = conversation.reply(conversation.start_tool("needs_sampling", capabilities={}))
    assert error_of(reply)["code"] == -32021
    assert http_status(conversation, reply) in (None, 400)
    assert conversation.text("needs_sampling", capabilities={"sampling": {}}) == "There is a model"


@over(STATELESS)
def test_the_log_level_is_that_of_the_request_alone(conversation: Conversation) -> None:
    """R24, R89."""
    conversation.text("speak", log_level="alert")
    assert [note["params"]["level"] for note in conversation.waiting_notifications()] == ["alert", "emergency"]
    conversation.forget()
    conversation.text("speak")
    assert not conversation.settle()


@over(STATELESS)
def test_clients_may_take_turns_on_one_connection(conversation: Conversation) -> None:
    """R24, R38."""
    able = conversation.start_tool("ask_what_is_possible", capabilities={"elicitation": {}})
    unable = conversation.start_tool("ask_what_is_possible", capabilities={})
    assert result_of(conversation.reply(able))["resultType"] == "input_required"
    assert "nothing" in result_of(conversation.reply(unable))["content"][0]["text"]


@over(STATELESS)
@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("version", ["1900-01-01", "", *HANDSHAKE_REVISIONS])
def test_a_version_that_cannot_be_served_is_refused_on_every_method(
    conversation: Conversation, method: str, version: str
) -> None:
    """R25, R26."""
    reply = conversation.call(method, EVERY_METHOD[method], revision=version)
    error = error_of(reply)
    assert error["code"] == -32022
    assert STATELESS in error["data"]["supported"]
    assert error["data"]["requested"] == version
    assert http_status(conversation, reply) in (None, 400)


SPOILT: list[tuple[str, JsonObject]] = [
    ("no version", {VERSION: None}),
    ("no capabilities", {CAPABILITIES: None}),
    ("a number for a version", {VERSION: 2026}),
    ("a list for a version", {VERSION: [STATELESS]}),
    ("a text for capabilities", {CAPABILITIES: "sampling"}),
    ("a list for capabilities", {CAPABILITIES: []}),
    ("a text for a capability", {CAPABILITIES: {"sampling": "yes"}}),
    ("a text for the client", {f"{META_PREFIX}clientInfo": "me"}),
    ("an unknown log level", {f"{META_PREFIX}logLevel": "loud"}),
]


@over(STATELESS)
@pytest.mark.parametrize("method", [method for method in EVERY_METHOD if method != "no/such/method"])
@pytest.mark.parametrize(("spoilt", "changes"), SPOILT, ids=[name for name, _ in SPOILT])
def test_missing_or_wrong_metadata_is_refused_on_every_method(
    conversation: Conversation, method: str, spoilt: str, changes: JsonObject
) -> None:
    """R27, R64, R89."""
    params = conversation.envelope(EVERY_METHOD[method])
    assert params is not None
    meta = {**params["_meta"], **changes}
    params["_meta"] = {name: value for name, value in meta.items() if value is not None}
    reply = conversation.call(method, params, bare=True)
    assert error_of(reply)["code"] == -32602, spoilt
    assert http_status(conversation, reply) in (None, 400)


@over(STATELESS, transports=("http",))
@pytest.mark.parametrize("method", [method for method in EVERY_METHOD if method != "no/such/method"])
def test_metadata_that_is_missing_altogether_is_refused_where_the_header_names_the_era(
    conversation: Conversation, method: str
) -> None:
    """R27."""
    for params in (EVERY_METHOD[method], {**EVERY_METHOD[method], "_meta": {}}):
        reply = conversation.call(method, params, bare=True)
        assert error_of(reply)["code"] == -32602
        assert http_status(conversation, reply) == 400


LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}


@REGISTERS_LOCALLY
@over(STATELESS)
def test_lists_depend_neither_on_the_connection_nor_on_earlier_requests(
    conversation: Conversation, open_fresh: OpenFresh
) -> None:
    """R28."""
    before = {method: conversation.everything(method, LISTS[method]) for method in LISTS}
    conversation.text("echo", {"message": "hi"}, capabilities={})
    conversation.tool("ask_name")
    with open_fresh({}) as other:
        for method, member in LISTS.items():
            assert conversation.everything(method, member, capabilities={}, log_level="debug") == before[method]
            assert other.everything(method, member) == before[method]


@REGISTERS_LOCALLY
@over(*REVISIONS)
def test_lists_are_in_the_same_order_every_time(conversation: Conversation) -> None:
    """R28, R91."""
    first = [entry["name"] for entry in conversation.everything("tools/list", "tools")]
    assert first == [entry["name"] for entry in conversation.everything("tools/list", "tools")]
    assert first == sorted(first)


@pytest.fixture(scope="module")
def reading(roots: Any) -> Iterator[Services]:
    """Servers that let network callers without credentials only read."""
    configuration = settings(roots)
    configuration["security"] = {"anonymous": "read"}
    with services(configuration) as running:
        yield running


@over(*FEW, transports=NETWORK)
def test_lists_and_calls_depend_on_who_calls(reading: Services, place: Place) -> None:
    """R28, R83, R92: a tool that a caller may not use is hidden and answers as unknown."""
    conversation = reading.shared(place.transport, place.revision)
    names = {entry["name"] for entry in conversation.everything("tools/list", "tools")}
    assert "echo" in names
    assert "not_read_only" not in names
    assert "write_file" not in names
    unknown = conversation.error("tools/call", {"name": "no_such_tool"})
    hidden = conversation.error("tools/call", {"name": "not_read_only"})
    assert hidden["code"] == unknown["code"]
    assert hidden["message"] == "Unknown tool: not_read_only"


@over(*FEW, transports=LOCAL)
def test_the_owner_of_the_process_has_every_tool(reading: Services, place: Place) -> None:
    """R28, R83, R108: the limits of network callers do not apply."""
    conversation = reading.shared(place.transport, place.revision)
    names = {entry["name"] for entry in conversation.everything("tools/list", "tools")}
    assert {"echo", "not_read_only", "write_file"} <= names
    assert conversation.text("not_read_only") == "done"


@over(STATELESS)
@pytest.mark.parametrize(
    ("name", "declared", "required"),
    [
        ("ask_name", {}, {"elicitation"}),
        ("ask_name", {"sampling": {}, "roots": {}}, {"elicitation"}),
        ("ask_name", {"elicitation": {"url": {}}}, {"elicitation"}),
        ("ask_visit", {"elicitation": {}}, {"elicitation"}),
        ("ask_visit", {"elicitation": {"form": {}}}, {"elicitation"}),
        ("ask_model", {"elicitation": {}}, {"sampling"}),
        ("ask_roots", {"elicitation": {}}, {"roots"}),
        ("ask_all", {"elicitation": {}, "roots": {}}, {"sampling"}),
        ("needs_sampling", {"elicitation": {}}, {"sampling"}),
    ],
)
def test_what_the_client_did_not_declare_is_required_by_an_error(
    conversation: Conversation, name: str, declared: JsonObject, required: set[str]
) -> None:
    """R29, R64, R96."""
    reply = conversation.reply(conversation.start_tool(name, capabilities=declared))
    error = error_of(reply)
    assert error["code"] == -32021
    assert set(error["data"]["requiredCapabilities"]) == required
    assert http_status(conversation, reply) in (None, 400)


@over(STATELESS)
@pytest.mark.parametrize(
    ("name", "declared", "mode"),
    [
        ("ask_name", {"elicitation": {}}, "form"),
        ("ask_name", {"elicitation": {"form": {}}}, "form"),
        ("ask_visit", {"elicitation": {"url": {}}}, "url"),
    ],
)
def test_an_elicitation_is_of_a_declared_mode(
    conversation: Conversation, name: str, declared: JsonObject, mode: str
) -> None:
    """R29, R96: an empty object declares form mode."""
    requests = conversation.tool(name, capabilities=declared)["inputRequests"]
    assert [entry["params"].get("mode", "form") for entry in requests.values()] == [mode]


@over(STATELESS)
def test_an_extension_that_is_not_supported_changes_nothing(conversation: Conversation) -> None:
    """R30."""
    declared = {**EVERYTHING, "extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/own": {"a": 1}}}
    result = conversation.tool("echo", {"message": "hi"}, capabilities=declared)
    assert result["resultType"] == "complete"
    assert conversation.error("tasks/get", {"taskId": "a"}, capabilities=declared)["code"] == -32601
    discovered = conversation.result("server/discover", capabilities=declared)
    assert not declared["extensions"].keys() & discovered["capabilities"]["extensions"].keys()


@over(STATELESS)
@pytest.mark.parametrize("method", GONE)
def test_methods_of_the_other_era_are_not_found(conversation: Conversation, method: str) -> None:
    """R22, R32, R61."""
    reply = conversation.call(method, {"level": "debug", "uri": "note://01"})
    assert error_of(reply)["code"] == -32601
    assert http_status(conversation, reply) in (None, 404)


@over(LATEST_HANDSHAKE)
def test_a_connection_may_probe_with_discover_and_fall_back_to_initialize(connect: OpenFresh) -> None:
    """R32, R33."""
    with connect() as conversation:
        conversation.revision = STATELESS
        assert STATELESS in conversation.result("server/discover")["supportedVersions"]
        assert "tools" in conversation.result("tools/list")
        conversation.revision = LATEST_HANDSHAKE
        conversation.handshake()
        assert "resultType" not in conversation.result("tools/list")


@over(LATEST_HANDSHAKE)
def test_a_first_message_without_metadata_binds_the_connection_to_nothing(connect: OpenFresh) -> None:
    """R32."""
    with connect() as conversation:
        assert conversation.error("tools/list")["code"] == -32600
        conversation.revision = STATELESS
        assert conversation.result("tools/list")["resultType"] == "complete"


@over(*HANDSHAKE_REVISIONS)
def test_a_stateless_request_is_served_beside_a_session(conversation: Conversation) -> None:
    """R32."""
    revision = conversation.revision
    try:
        conversation.revision = STATELESS
        assert conversation.result("tools/list")["resultType"] == "complete"
        assert conversation.error("tools/call", {"name": "needs_sampling"}, capabilities={})["code"] == -32021
    finally:
        conversation.revision = revision
    assert "resultType" not in conversation.result("tools/list")
    assert conversation.text("needs_sampling") == "There is a model"


@over(STATELESS)
def test_discover_tells_what_is_really_served(conversation: Conversation) -> None:
    """R22, R33, R92."""
    found = conversation.result("server/discover")
    assert STATELESS in found["supportedVersions"]
    for version in found["supportedVersions"]:
        assert conversation.result("tools/list", revision=version)["tools"]
    assert {"tools", "prompts", "resources", "completions", "logging"} <= set(found["capabilities"])
    assert found["ttlMs"] >= 0
    assert found["cacheScope"] == "public"
