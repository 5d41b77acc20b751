"""Questions to the client from tools, prompts and resources, in both eras."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.conftest import lend, settings
from tests.behaviour.matrix import LOCAL, NETWORK, Place, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.deadlines import wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS, JsonObject
from tests.support.http_client import http_client
from tests.support.http_conversation import HttpConversation
from tests.support.services import Services, services

ADA = {"action": "accept", "content": {"name": "Ada"}}
PARIS = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "test-model"}
ROOTS = {"roots": [{"uri": "file:///work", "name": "work"}]}
METHODS = {"name": "elicitation/create", "model": "sampling/createMessage", "roots": "roots/list"}


def ask(conversation: Conversation, name: str, **arguments: Any) -> JsonObject:
    """Call a tool and return the result that asks for input."""
    result = conversation.tool(name, arguments)
    assert result["resultType"] == "input_required", result
    return result


def retry(
    conversation: Conversation, name: str, state: Any, answers: Mapping[str, Any] | None, **arguments: Any
) -> JsonObject:
    """Call a tool again with answers and return the whole reply."""
    params: JsonObject = {"name": name, "arguments": arguments}
    if state is not None:
        params["requestState"] = state
    if answers is not None:
        params["inputResponses"] = dict(answers)
    return conversation.call("tools/call", params)


def text_of(reply: JsonObject) -> str:
    """Return the text of a complete result."""
    result = result_of(reply)
    assert result["resultType"] == "complete", result
    return str(result["content"][0]["text"])


@over(STATELESS)
@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("tools/call", {"name": "ask_name", "arguments": {}}, "Hello, accept: Ada"),
        ("tools/call", {"name": "ask_name_in_a_thread", "arguments": {}}, "accept: Ada"),
        ("prompts/get", {"name": "personal", "arguments": {"tone": "sad"}}, "Write a sad letter to Ada."),
        ("resources/read", {"uri": "asking://weather"}, "weather for Ada"),
    ],
)
def test_a_request_is_tried_again_with_the_answers(
    conversation: Conversation, method: str, params: JsonObject, expected: str
) -> None:
    """R93."""
    need = conversation.result(method, params)
    assert need["resultType"] == "input_required"
    assert need["inputRequests"]["name"]["method"] == "elicitation/create"
    again = {**params, "requestState": need["requestState"], "inputResponses": {"name": ADA}}
    result = conversation.result(method, again)
    assert result["resultType"] == "complete"
    assert expected in str(result)
    assert "requestState" not in result


@over(STATELESS)
@pytest.mark.parametrize("name", ["ask_name", "ask_model", "ask_roots", "ask_visit", "ask_all", "ask_twice"])
def test_a_result_that_asks_for_input_has_what_it_needs(conversation: Conversation, name: str) -> None:
    """R29, R93."""
    need = ask(conversation, name)
    assert set(need) == {"resultType", "inputRequests", "requestState", "_meta"}
    assert {entry["method"] for entry in need["inputRequests"].values()} <= set(METHODS.values())
    assert need["requestState"]


@over(STATELESS)
def test_all_questions_go_in_one_round(conversation: Conversation) -> None:
    """R93."""
    need = ask(conversation, "ask_all")
    assert {key: entry["method"] for key, entry in need["inputRequests"].items()} == METHODS
    answers = {"name": ADA, "model": PARIS, "roots": ROOTS}
    told = text_of(retry(conversation, "ask_all", need["requestState"], answers))
    assert told == "model=Sampled, name=Elicited, roots=Roots"


@over(STATELESS)
def test_a_second_round_remembers_the_first(conversation: Conversation) -> None:
    """R93."""
    first = ask(conversation, "ask_twice")
    assert set(first["inputRequests"]) == {"first"}
    second = result_of(retry(conversation, "ask_twice", first["requestState"], {"first": ADA}))
    assert set(second["inputRequests"]) == {"second"}
    eve = {"action": "accept", "content": {"name": "Eve"}}
    assert text_of(retry(conversation, "ask_twice", second["requestState"], {"second": eve})) == "Ada and Eve"


@over(STATELESS)
def test_what_is_missing_is_asked_for_again(conversation: Conversation) -> None:
    """R93, R95."""
    need = ask(conversation, "ask_all")
    for answers in (None, {}, {"nobody asked": ADA}):
        again = result_of(retry(conversation, "ask_all", need["requestState"], answers))
        assert set(again["inputRequests"]) == {"name", "model", "roots"}
    again = result_of(retry(conversation, "ask_all", need["requestState"], {"name": ADA, "model": PARIS}))
    assert set(again["inputRequests"]) == {"roots"}
    assert "roots=Roots" in text_of(retry(conversation, "ask_all", again["requestState"], {"roots": ROOTS}))


@over(STATELESS)
def test_answers_that_nobody_asked_for_are_ignored(conversation: Conversation) -> None:
    """R95."""
    need = ask(conversation, "ask_name")
    answers = {"name": ADA, "other": ROOTS, "more": PARIS}
    assert text_of(retry(conversation, "ask_name", need["requestState"], answers)) == "Hello, accept: Ada"


def refused(reply: JsonObject) -> bool:
    """Return whether the state was refused as an invalid parameter, without a reason in the message."""
    return "error" in reply and reply["error"]["code"] == -32602 and "requestState" in reply["error"]["message"]


@over(STATELESS)
def test_a_state_with_any_bit_changed_is_refused(conversation: Conversation) -> None:
    """R94."""
    state = ask(conversation, "ask_name")["requestState"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for position, character in enumerate(state):
        other = alphabet[alphabet.index(character) ^ 1] if character in alphabet else "A"
        changed = state[:position] + other + state[position + 1 :]
        assert refused(retry(conversation, "ask_name", changed, {"name": ADA})), position


@over(STATELESS)
def test_a_state_that_was_cut_or_made_up_is_refused(conversation: Conversation) -> None:
    """R94."""
    state = ask(conversation, "ask_name")["requestState"]
    made_up = base64.urlsafe_b64encode(b'{"caller":"owner","answers":{}}').decode()
    for wrong in (
        "",
        state[:-1],
        state[1:],
        state[: len(state) // 2],
        state + "A",
        f" {state}",
        state * 2,
        made_up,
        "ä",
    ):
        assert refused(retry(conversation, "ask_name", wrong, {"name": ADA})), wrong
    assert refused(retry(conversation, "ask_name", "A" * 1_000_000, {"name": ADA}))


@over(STATELESS)
@pytest.mark.parametrize("state", [5, ["a"], {"a": 1}, True], ids=repr)
def test_a_state_that_is_no_text_is_refused(conversation: Conversation, state: Any) -> None:
    """R94."""
    assert error_of(retry(conversation, "ask_name", state, {"name": ADA}))["code"] == -32602


@over(STATELESS)
def test_a_state_is_good_for_its_own_request_only(conversation: Conversation) -> None:
    """R94: not for another tool, other arguments or another method."""
    state = ask(conversation, "ask_name", greeting="Hi")["requestState"]
    assert refused(retry(conversation, "ask_other", state, {"name": ADA}, greeting="Hi"))
    assert refused(retry(conversation, "ask_name", state, {"name": ADA}, greeting="Bye"))
    assert refused(retry(conversation, "ask_name", state, {"name": ADA}))
    prompt = {"name": "personal", "arguments": {"greeting": "Hi"}, "requestState": state}
    assert refused(conversation.call("prompts/get", prompt))
    assert refused(conversation.call("resources/read", {"uri": "asking://weather", "requestState": state}))
    assert text_of(retry(conversation, "ask_name", state, {"name": ADA}, greeting="Hi")) == "Hi, accept: Ada"


@over(STATELESS)
def test_a_state_expires(pressed: Conversation) -> None:
    """R94."""
    state = ask(pressed, "ask_name")["requestState"]
    wait_until(lambda: refused(retry(pressed, "ask_name", state, {"name": ADA})), "the state expires")


@over(STATELESS)
def test_a_retry_may_arrive_at_another_process_with_the_same_key(
    conversation: Conversation, pressed: Conversation
) -> None:
    """R94, R95."""
    state = ask(conversation, "ask_name")["requestState"]
    assert text_of(retry(pressed, "ask_name", state, {"name": ADA})) == "Hello, accept: Ada"


@pytest.fixture
def stranger(roots: Path, place: Place, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation with a server that has a random state key of its own."""
    with services(settings(roots, state_key=None)) as running:
        yield from lend(running, place, request)


@over(STATELESS)
def test_a_state_of_another_key_is_refused(conversation: Conversation, stranger: Conversation) -> None:
    """R94."""
    state = ask(conversation, "ask_name")["requestState"]
    assert refused(retry(stranger, "ask_name", state, {"name": ADA}))


@over(STATELESS)
def test_a_state_of_another_caller_is_refused(usual: Services, place: Place) -> None:
    """R94: the callers are the owner of the process and a network caller; both servers have the same key."""
    others = NETWORK if place.transport in LOCAL else LOCAL
    state = ask(usual.shared(place.transport, STATELESS), "ask_name")["requestState"]
    for other in others:
        assert refused(retry(usual.shared(other, STATELESS), "ask_name", state, {"name": ADA}))


@over(STATELESS)
def test_a_state_is_taken_up_over_every_transport_of_the_same_caller(usual: Services, place: Place) -> None:
    """R94, R95: also in another process with the same key."""
    for other in LOCAL if place.transport in LOCAL else NETWORK:
        state = ask(usual.shared(place.transport, STATELESS), "ask_name")["requestState"]
        assert text_of(retry(usual.shared(other, STATELESS), "ask_name", state, {"name": ADA})) == "Hello, accept: Ada"


@over(STATELESS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_user_may_decline_or_cancel(conversation: Conversation, action: str) -> None:
    """R95."""
    state = ask(conversation, "ask_name")["requestState"]
    assert text_of(retry(conversation, "ask_name", state, {"name": {"action": action}})) == f"Hello, {action}: None"


WRONG_ANSWERS: list[tuple[str, str, Any]] = [
    ("ask_name", "name", {"action": "accept", "content": {"name": "A"}}),
    ("ask_name", "name", {"action": "accept", "content": {"name": 5}}),
    ("ask_name", "name", {"action": "accept", "content": {"name": "Ada", "age": -1}}),
    ("ask_name", "name", {"action": "accept", "content": {}}),
    ("ask_name", "name", {"action": "accept"}),
    ("ask_name", "name", {"action": "perhaps"}),
    ("ask_name", "name", {}),
    ("ask_name", "name", PARIS),
    ("ask_name", "name", ROOTS),
    ("ask_name", "name", "Ada"),
    ("ask_name", "name", None),
    ("ask_model", "model", ADA),
    ("ask_model", "model", {**PARIS, "content": {"type": "image", "data": "no base64!", "mimeType": "image/png"}}),
    ("ask_roots", "roots", PARIS),
    ("ask_roots", "roots", {"roots": [{"uri": 5}]}),
]


@over(STATELESS)
@pytest.mark.parametrize(("name", "key", "answer"), WRONG_ANSWERS, ids=lambda value: str(value)[:60])
def test_an_answer_that_does_not_fit_is_refused_or_asked_for_again(
    conversation: Conversation, name: str, key: str, answer: Any
) -> None:
    """R95."""
    state = ask(conversation, name)["requestState"]
    reply = retry(conversation, name, state, {key: answer})
    if "error" in reply:
        assert reply["error"]["code"] == -32602
    else:
        assert reply["result"]["resultType"] == "input_required" or reply["result"]["isError"], reply
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS[2:])
@pytest.mark.parametrize(("name", "key", "answer"), WRONG_ANSWERS, ids=lambda value: str(value)[:60])
def test_an_answer_that_does_not_fit_fails_the_call_in_the_handshake_era(
    conversation: Conversation, name: str, key: str, answer: Any
) -> None:
    """R95."""
    identifier = conversation.start_tool(name)
    question = conversation.server_request(METHODS[key])
    conversation.send({"jsonrpc": "2.0", "id": question["id"], "result": answer})
    reply = conversation.reply(identifier)
    assert ("error" in reply and reply["error"]["code"] == -32602) or reply["result"]["isError"], reply
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS[2:])
def test_questions_are_requests_of_the_server_in_the_handshake_era(conversation: Conversation) -> None:
    """R20, R95."""
    identifier = conversation.start_tool("ask_all")
    for method, answer in (("roots/list", ROOTS), ("sampling/createMessage", PARIS), ("elicitation/create", ADA)):
        conversation.answer(conversation.server_request(method), answer)
    told = result_of(conversation.reply(identifier))["content"][0]["text"]
    assert told == "model=Sampled, name=Elicited, roots=Roots"


@over(*HANDSHAKE_REVISIONS)
def test_a_client_may_answer_with_an_error(conversation: Conversation) -> None:
    """R95."""
    identifier = conversation.start_tool("ask_roots")
    question = conversation.server_request("roots/list")
    conversation.send({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "User said no"}})
    result = result_of(conversation.reply(identifier))
    assert result["isError"]
    assert "User said no" in result["content"][0]["text"]


@over(*HANDSHAKE_REVISIONS)
def test_prompts_and_resources_ask_in_the_handshake_era_too(conversation: Conversation) -> None:
    """R93: a client that declares elicitation is asked, even in a revision without elicitation."""
    identifier = conversation.start("resources/read", {"uri": "asking://weather"})
    conversation.answer(conversation.server_request("elicitation/create"), ADA)
    assert result_of(conversation.reply(identifier))["contents"][0]["text"] == "weather for Ada"
    identifier = conversation.start("prompts/get", {"name": "personal"})
    conversation.answer(conversation.server_request("elicitation/create"), ADA)
    text = result_of(conversation.reply(identifier))["messages"][0]["content"]["text"]
    assert text == "Write a kind letter to Ada."


@over(STATELESS)
def test_a_visit_carries_neither_an_id_nor_a_form_in_the_stateless_era(conversation: Conversation) -> None:
    """R96."""
    need = ask(conversation, "ask_visit")
    params = need["inputRequests"]["visit"]["params"]
    assert params == {"mode": "url", "message": "Please sign in", "url": "https://example.com/sign-in"}
    told = text_of(retry(conversation, "ask_visit", need["requestState"], {"visit": {"action": "accept"}}))
    assert told == "visited: accept"


@over(LATEST_HANDSHAKE)
def test_a_visit_has_an_id_in_november_2025(conversation: Conversation) -> None:
    """R96."""
    seen = set()
    for _ in range(2):
        identifier = conversation.start_tool("ask_visit")
        question = conversation.server_request("elicitation/create")
        assert question["params"]["mode"] == "url"
        seen.add(question["params"]["elicitationId"])
        conversation.answer(question, {"action": "accept"})
        assert result_of(conversation.reply(identifier))["content"][0]["text"] == "visited: accept"
    assert len(seen) == 2


@over(STATELESS)
def test_a_model_is_asked_with_neither_tools_nor_context_in_the_stateless_era(conversation: Conversation) -> None:
    """R97."""
    params = ask(conversation, "ask_model")["inputRequests"]["model"]["params"]
    assert set(params) == {"messages", "maxTokens", "systemPrompt"}


@over(*HANDSHAKE_REVISIONS)
def test_a_model_is_asked_with_neither_tools_nor_context(conversation: Conversation) -> None:
    """R97."""
    identifier = conversation.start_tool("ask_model")
    question = conversation.server_request("sampling/createMessage")
    assert set(question["params"]) == {"messages", "maxTokens", "systemPrompt"}
    conversation.answer(question, PARIS)
    assert result_of(conversation.reply(identifier))["content"][0]["text"] == "test-model says Paris"


@over(*HANDSHAKE_REVISIONS)
def test_questions_have_ids_that_are_unique_in_the_session(conversation: Conversation) -> None:
    """R98."""
    calls = [conversation.start_tool("ask_roots") for _ in range(5)]
    questions = [conversation.server_request("roots/list") for _ in calls]
    assert len({question["id"] for question in questions}) == len(questions)
    for number, question in enumerate(reversed(questions)):
        conversation.answer(question, {"roots": [{"uri": f"file:///{number}", "name": str(number)}]})
    told = {result_of(conversation.reply(identifier))["content"][0]["text"] for identifier in calls}
    assert told == {f"{number}=file:///{number}" for number in range(5)}


@over(*HANDSHAKE_REVISIONS, transports=("http",))
def test_a_question_goes_on_the_stream_of_its_request(conversation: HttpConversation) -> None:
    """R50, R98."""
    with http_client(conversation.server.url) as client:
        session = client.handshake(conversation.revision, {"roots": {}})
        call = session.request("tools/call", {"name": "ask_roots", "arguments": {}})
        with session.listen() as standalone, session.stream(call) as stream:
            question = stream.next_message()
            assert question["method"] == "roots/list"
            assert session.post({"jsonrpc": "2.0", "id": question["id"], "result": ROOTS}).status == 202
            assert stream.reply(call["id"])["result"]["content"][0]["text"] == "work=file:///work"
            assert not standalone.messages()
        session.delete()
