"""Resources, prompts, completion, logging, pagination and caching hints."""

import base64
import json
from typing import Any

import pytest

from tests.behaviour.matrix import FEW, REGISTERS_LOCALLY, REVISIONS, over, since
from tests.support.conversations import Conversation
from tests.support.envelopes import HANDSHAKE_REVISIONS, STATELESS, JsonObject

MESSAGE = "notifications/message"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
LISTS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}


def read(conversation: Conversation, uri: str) -> list[JsonObject]:
    """Return the contents of a resource."""
    contents: list[JsonObject] = conversation.result("resources/read", {"uri": uri})["contents"]
    return contents


@over(*REVISIONS)
@pytest.mark.parametrize("uri", ["no://such", "note://99", "note://01/", "NOTE://01", "file:///missing.txt"])
def test_a_resource_that_is_not_there_is_an_error(conversation: Conversation, uri: str) -> None:
    """R84: the server never returns empty contents instead."""
    error = conversation.error("resources/read", {"uri": uri})
    assert error["code"] == (-32602 if conversation.stateless else -32002)
    assert error["data"] == {"kind": "resource_not_found", "uri": uri}


@over(*REVISIONS)
@pytest.mark.parametrize("uri", ["", "no scheme", "/etc/passwd", "://", "note:", "file:", "\x00", "note://\ud7ff\x00"])
def test_what_is_no_uri_of_ours_is_an_error(conversation: Conversation, uri: str) -> None:
    """R85."""
    assert conversation.error("resources/read", {"uri": uri})["code"] in (-32602, -32002)


@over(*REVISIONS)
def test_a_resource_that_cannot_be_read_says_why(conversation: Conversation) -> None:
    """R84."""
    error = conversation.error("resources/read", {"uri": "broken://refused"})
    assert error["message"] == "The store is closed on Sundays"
    assert error["code"] == -32603


OUTSIDE = [
    "file:///../outside.txt",
    "file:///%2e%2e/outside.txt",
    "file:///%2E%2E%2Foutside.txt",
    "file:///..%2foutside.txt",
    "file:///x/../../outside.txt",
    "file:///%252e%252e/outside.txt",
    "file:///..%5coutside.txt",
    "file:///leads-out.txt",
    "file:///note.txt%00",
    "file:///note.txt%00.png",
    "file:////etc/passwd",
    "file:///etc/passwd",
    "file:///%2fetc%2fpasswd",
    "file:///proc/self/environ",
    "file:///%ff%fe",
    "file:///",
]


@over(*FEW)
@pytest.mark.parametrize("uri", OUTSIDE)
def test_files_outside_of_the_roots_are_out_of_reach(conversation: Conversation, uri: str) -> None:
    """R85."""
    reply = conversation.call("resources/read", {"uri": uri})
    assert "error" in reply, reply
    assert "outside secret" not in json.dumps(reply)
    assert "root:" not in json.dumps(reply)


@over(*FEW)
def test_files_beneath_the_roots_are_read_with_variables_decoded_once(conversation: Conversation) -> None:
    """R85."""
    assert read(conversation, "file:///note.txt")[0]["text"] == "inside äöü"
    assert read(conversation, "file:///with%20space.txt")[0]["text"] == "spaced"
    assert read(conversation, "file:///100%2525.txt")[0]["text"] == "percent"
    blob = read(conversation, "file:///data.bin")[0]
    assert base64.b64decode(blob["blob"], validate=True) == bytes(range(256))


@over(*REVISIONS)
@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("weather://fr/Paris", "fr|Paris"),
        ("weather://fr/S%C3%A8te", "fr|Sète"),
        ("weather://a%2Fb/c%2Fd", "a/b|c/d"),
        ("weather://fr/100%2525", "fr|100%25"),
        ("weather://fr/a+b", "fr|a+b"),
    ],
)
def test_variables_of_a_template_are_decoded_once(conversation: Conversation, uri: str, text: str) -> None:
    """R85."""
    assert read(conversation, uri) == [{"uri": uri, "mimeType": "text/plain", "text": text}]


@over(*REVISIONS)
def test_a_resource_may_have_several_contents(conversation: Conversation) -> None:
    """R85."""
    first, second, third = read(conversation, "parts://all")
    assert first == {"uri": "parts://1", "mimeType": "text/plain", "text": "one"}
    assert second["text"] == "zwei äöü"
    assert base64.b64decode(third["blob"], validate=True) == bytes(range(256))
    assert "text" not in third


@over(*REVISIONS)
def test_an_unknown_prompt_is_an_error(conversation: Conversation) -> None:
    """R86: the handshake era uses this server's own code."""
    error = conversation.error("prompts/get", {"name": "no_such_prompt"})
    assert error["code"] == (-32602 if conversation.stateless else -32003)
    assert error["data"] == {"kind": "prompt_not_found", "name": "no_such_prompt"}


@over(*REVISIONS)
@pytest.mark.parametrize("arguments", [None, {}, {"city": "Paris"}])
def test_a_missing_argument_of_a_prompt_is_an_invalid_parameter(
    conversation: Conversation, arguments: JsonObject | None
) -> None:
    """R86."""
    params = {"name": "travel"} if arguments is None else {"name": "travel", "arguments": arguments}
    error = conversation.error("prompts/get", params)
    assert error["code"] == -32602
    assert "country" in error["message"]


@over(*REVISIONS)
def test_arguments_of_a_prompt_are_strings(conversation: Conversation) -> None:
    """R86."""
    rendered = conversation.result("prompts/get", {"name": "counted", "arguments": {"count": "41"}})
    assert rendered["messages"][0]["content"]["text"] == "Count to 42."
    assert conversation.error("prompts/get", {"name": "counted", "arguments": {"count": "x"}})["code"] == -32602
    assert conversation.error("prompts/get", {"name": "counted", "arguments": {"count": 41}})["code"] == -32602


@over(*REVISIONS)
def test_a_prompt_is_rendered_with_roles_and_embedded_resources(conversation: Conversation) -> None:
    """R86."""
    rendered = conversation.result("prompts/get", {"name": "travel", "arguments": {"country": "fr"}})
    first, second, third = rendered["messages"]
    assert first == {"role": "user", "content": {"type": "text", "text": "Plan a journey to anywhere in fr."}}
    resource = {"uri": "note://01", "mimeType": "text/plain", "text": "note 1"}
    assert second["content"] == {"type": "resource", "resource": resource}
    assert third["role"] == "assistant"


@over(*REVISIONS)
def test_prompts_are_listed_with_their_arguments(conversation: Conversation) -> None:
    """R86."""
    listed = {entry["name"]: entry for entry in conversation.everything("prompts/list", "prompts")}
    arguments = [(entry["name"], entry["required"]) for entry in listed["travel"]["arguments"]]
    assert arguments == [("country", True), ("city", False)]


def complete(conversation: Conversation, ref: JsonObject, name: str, value: str, **context: str) -> JsonObject:
    """Return the completion of an argument."""
    params: JsonObject = {"ref": ref, "argument": {"name": name, "value": value}}
    if context:
        params["context"] = {"arguments": context}
    completion: JsonObject = conversation.result("completion/complete", params)["completion"]
    return completion


TRAVEL = {"type": "ref/prompt", "name": "travel"}
WEATHER = {"type": "ref/resource", "uri": "weather://{country}/{city}"}


@over(*REVISIONS)
def test_there_are_never_more_than_a_hundred_suggestions(conversation: Conversation) -> None:
    """R87."""
    completion = complete(conversation, TRAVEL, "country", "c")
    assert len(completion["values"]) == 100
    assert completion["total"] == 150
    assert completion["hasMore"] is True


@over(*REVISIONS)
def test_arguments_of_prompts_and_templates_are_completed(conversation: Conversation) -> None:
    """R87."""
    for ref in (TRAVEL, WEATHER):
        completion = complete(conversation, ref, "city", "An")
        assert completion == {"values": ["Anywhere"], "total": 1, "hasMore": False}
        assert complete(conversation, ref, "city", "zzz") == {"values": [], "total": 0, "hasMore": False}
    assert complete(conversation, WEATHER, "country", "f")["values"] == []


@over(*since("2025-06-18"))
def test_completion_knows_the_other_arguments(conversation: Conversation) -> None:
    """R87."""
    for ref in (TRAVEL, WEATHER):
        assert complete(conversation, ref, "city", "", country="fr")["values"] == ["Lyon", "Paris"]
        assert complete(conversation, ref, "city", "B", country="de")["values"] == ["Berlin", "Bonn"]


@over(*REVISIONS)
@pytest.mark.parametrize(
    ("ref", "argument"),
    [
        ({"type": "ref/prompt", "name": "no_such_prompt"}, "city"),
        ({"type": "ref/resource", "uri": "no://{such}"}, "such"),
        (TRAVEL, "no_such_argument"),
        (WEATHER, "no_such_variable"),
    ],
)
def test_completing_what_is_not_there_is_an_invalid_parameter(
    conversation: Conversation, ref: JsonObject, argument: str
) -> None:
    """R87."""
    params = {"ref": ref, "argument": {"name": argument, "value": ""}}
    assert conversation.error("completion/complete", params)["code"] == -32602


def levels_told(conversation: Conversation, **metadata: Any) -> list[str]:
    """Call a tool that logs at every level and return the levels sent before the response."""
    conversation.text("speak", **metadata)
    notes = [note["params"] for note in conversation.waiting_notifications(MESSAGE)]
    conversation.forget()
    assert not conversation.settle()
    assert all(note["logger"] == "speaker" and note["data"] == {"said": note["level"]} for note in notes)
    return [note["level"] for note in notes]


@over(*HANDSHAKE_REVISIONS)
def test_a_session_is_told_what_its_level_lets_through(conversation: Conversation) -> None:
    """R88."""
    for index, level in enumerate(LEVELS):
        assert conversation.result("logging/setLevel", {"level": level}) == {}
        assert levels_told(conversation) == list(LEVELS[index:])


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("params", [{}, {"level": "loud"}, {"level": 3}, {"level": None}, {"level": "INFO"}])
def test_an_unknown_level_is_an_invalid_parameter(conversation: Conversation, params: JsonObject) -> None:
    """R88."""
    conversation.result("logging/setLevel", {"level": "error"})
    assert conversation.error("logging/setLevel", params)["code"] == -32602
    assert levels_told(conversation) == ["error", "critical", "alert", "emergency"]


@over(*HANDSHAKE_REVISIONS)
def test_the_level_is_that_of_the_session(conversation: Conversation, bare: Conversation) -> None:
    """R88."""
    conversation.result("logging/setLevel", {"level": "emergency"})
    bare.result("logging/setLevel", {"level": "alert"})
    assert levels_told(conversation) == ["emergency"]
    assert levels_told(bare) == ["alert", "emergency"]


@over(STATELESS)
def test_a_request_is_told_what_its_own_level_lets_through(conversation: Conversation) -> None:
    """R89."""
    for index, level in enumerate(LEVELS):
        assert levels_told(conversation, log_level=level) == list(LEVELS[index:])


@over(STATELESS)
@pytest.mark.parametrize(
    "name", ["speak", "speak_and_fail", "flood", "report_and_ask", "fails", "crashes", "soil_stdout"]
)
def test_nothing_is_logged_to_a_request_without_a_level(conversation: Conversation, name: str) -> None:
    """R89."""
    conversation.reply(conversation.start_tool(name, {"count": 5} if name == "flood" else {}))
    assert not conversation.settle()


@over(*REVISIONS)
def test_logs_of_a_failing_tool_come_before_its_error_and_hold_no_internals(conversation: Conversation) -> None:
    """R89, R90."""
    if conversation.stateless:
        result = conversation.tool("speak_and_fail", log_level="debug")
    else:
        conversation.result("logging/setLevel", {"level": "debug"})
        result = conversation.tool("speak_and_fail")
    notes = conversation.waiting_notifications(MESSAGE)
    assert [note["params"]["data"] for note in notes] == ["before the crash"]
    assert result["isError"]
    assert "secret" not in json.dumps([result, notes])


def pages(conversation: Conversation, method: str) -> list[JsonObject]:
    """Return all pages of a list."""
    found = [conversation.result(method, {})]
    while found[-1].get("nextCursor") is not None:
        found.append(conversation.result(method, {"cursor": found[-1]["nextCursor"]}))
    return found


@REGISTERS_LOCALLY
@over(*REVISIONS)
@pytest.mark.parametrize("method", LISTS)
def test_the_pages_of_a_list_hold_every_entry_once(conversation: Conversation, method: str) -> None:
    """R85, R91."""
    member, name = LISTS[method]
    found = pages(conversation, method)
    assert len(found) > 1 or method == "resources/templates/list"
    names = [entry[name] for page in found for entry in page[member]]
    assert len(set(names)) == len(names)
    assert all(0 < len(page[member]) <= 5 for page in found)
    assert found == pages(conversation, method)
    assert "nextCursor" not in found[-1]
    expected = {"tools/list": "echo", "prompts/list": "code_review", "resources/list": "config://server"}
    assert expected.get(method, "file:///{path}") in names


@over(*REVISIONS)
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("cursor", ["", "nonsense", "AAAA", "\x00", "ä", "5"], ids=repr)
def test_a_cursor_that_was_not_given_out_is_an_invalid_parameter(
    conversation: Conversation, method: str, cursor: str
) -> None:
    """R91."""
    assert conversation.error(method, {"cursor": cursor})["code"] == -32602


@REGISTERS_LOCALLY
@over(*REVISIONS)
def test_cursors_stay_good_when_the_list_changes(conversation: Conversation) -> None:
    """R91."""
    expected = [entry["name"] for entry in conversation.everything("prompts/list", "prompts")]
    first = conversation.result("prompts/list", {})
    conversation.text("appear", {"kind": "prompt"})
    try:
        rest = conversation.result("prompts/list", {"cursor": first["nextCursor"]})
        names = [entry["name"] for entry in (*first["prompts"], *rest["prompts"])]
        assert names[: len(first["prompts"])] == expected[: len(first["prompts"])]
        assert set(names) - {"momentary"} <= set(expected)
        assert len(set(names)) == len(names)
    finally:
        conversation.text("vanish", {"kind": "prompt"})
    assert [entry["name"] for entry in conversation.everything("prompts/list", "prompts")] == expected


@REGISTERS_LOCALLY
@over(*REVISIONS)
def test_a_changed_list_is_seen_at_once(conversation: Conversation) -> None:
    """R70, R91: a change invalidates cached renderings."""
    for kind, method in (("tool", "tools/list"), ("prompt", "prompts/list"), ("resource", "resources/list")):
        member, name = LISTS[method]
        conversation.text("vanish", {"kind": kind})  # another test may have left it
        before_change = conversation.everything(method, member)
        conversation.text("appear", {"kind": kind})
        added = [entry[name] for entry in conversation.everything(method, member) if entry not in before_change]
        conversation.text("vanish", {"kind": kind})
        assert added in (["momentary"], ["momentary://here"])
        assert conversation.everything(method, member) == before_change


CACHEABLE: dict[str, JsonObject] = {
    "server/discover": {},
    **{method: {} for method in LISTS},
    "resources/read": {"uri": "note://01"},
}


@over(STATELESS)
@pytest.mark.parametrize("method", CACHEABLE)
def test_results_that_may_be_cached_say_for_how_long_and_for_whom(conversation: Conversation, method: str) -> None:
    """R92."""
    result = conversation.result(method, CACHEABLE[method])
    assert type(result["ttlMs"]) is int
    assert result["ttlMs"] >= 0
    assert result["cacheScope"] == ("private" if method == "resources/read" else "public")


@over(STATELESS)
@pytest.mark.parametrize("method", LISTS)
def test_all_pages_are_cached_alike(conversation: Conversation, method: str) -> None:
    """R91, R92."""
    found = pages(conversation, method)
    assert len({page["cacheScope"] for page in found}) == 1
    assert all(page["ttlMs"] >= 0 for page in found)


@over(STATELESS)
def test_results_that_must_not_be_cached_have_no_hints(conversation: Conversation) -> None:
    """R92."""
    others = [
        conversation.result("resources/read", {"uri": "asking://weather"}),
        conversation.tool("ask_name"),
        conversation.tool("echo", {"message": "hi"}),
        conversation.result("prompts/get", {"name": "travel", "arguments": {"country": "fr"}}),
    ]
    assert not any({"ttlMs", "cacheScope"} & set(result) for result in others)
