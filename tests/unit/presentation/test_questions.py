"""Questions to the client: required capabilities, the requests, and valid answers."""

from typing import Any

import pytest

from tfo_mcp.domain.errors import InvalidAnswer, MissingCapability
from tfo_mcp.domain.interaction import CapabilityName, Question
from tfo_mcp.plugins import (
    Audio,
    ClientRoot,
    Elicit,
    Elicited,
    ElicitUrl,
    Image,
    ListRoots,
    Roots,
    Sample,
    Sampled,
    Text,
    assistant,
    user,
)
from tfo_mcp.presentation.protocol import questions
from tfo_mcp.presentation.protocol.revisions import REVISIONS, Revision

FIRST, SECOND, THIRD, FOURTH, FIFTH = REVISIONS.values()
FORM: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
ELICIT, URL, SAMPLE = Elicit("Name?", FORM), ElicitUrl("Log in", "https://example.org"), Sample([user("hi")], 5)


@pytest.mark.parametrize(
    ("capabilities", "question", "revision", "possible"),
    [
        ({}, ELICIT, FIFTH, False),
        ({"elicitation": {}}, ELICIT, FIFTH, True),
        ({"elicitation": {}}, ELICIT, THIRD, True),
        ({"elicitation": {}}, ELICIT, FIRST, True),
        ({"elicitation": {}}, URL, FIFTH, False),
        ({"elicitation": {"form": {}}}, ELICIT, FIFTH, True),
        ({"elicitation": {"form": {}}}, URL, FOURTH, False),
        ({"elicitation": {"url": {}}}, ELICIT, FOURTH, False),
        ({"elicitation": {"url": {}}}, URL, FOURTH, True),
        ({"elicitation": {"url": {}}}, URL, FIFTH, True),
        ({"elicitation": {"url": {}}}, URL, THIRD, False),
        ({"elicitation": {"form": {}, "url": {}}}, ELICIT, FIFTH, True),
        ({"elicitation": None}, ELICIT, FIFTH, False),
        ({"elicitation": True}, ELICIT, FIFTH, False),
        ({"sampling": {}}, SAMPLE, FIRST, True),
        ({"sampling": {}}, SAMPLE, FIFTH, True),
        ({"roots": {}}, SAMPLE, FIFTH, False),
        ({"roots": {"listChanged": True}}, ListRoots(), FIRST, True),
        ({"roots": None}, ListRoots(), FIFTH, False),
        ({}, ListRoots(), FIFTH, False),
    ],
)
def test_only_what_the_client_declared_is_asked(
    capabilities: dict[str, Any], question: Question, revision: Revision, possible: bool
) -> None:
    declared = questions.client_capabilities(capabilities)
    if possible:
        questions.require(declared, question, revision)
    else:
        with pytest.raises(MissingCapability):
            questions.require(declared, question, revision)


@pytest.mark.parametrize("capability", ["elicitation", "sampling", "roots"])
def test_a_capability_counts_when_it_is_declared(capability: CapabilityName) -> None:
    assert questions.client_capabilities({capability: {}}).supports(capability)
    undeclared: list[dict[str, Any]] = [{}, {capability: None}, {capability: []}, {"experimental": {capability: {}}}]
    for absent in undeclared:
        assert not questions.client_capabilities(absent).supports(capability)


@pytest.mark.parametrize(
    ("question", "revision", "method", "params"),
    [
        (ELICIT, THIRD, "elicitation/create", {"message": "Name?", "requestedSchema": FORM}),
        (ELICIT, FOURTH, "elicitation/create", {"mode": "form", "message": "Name?", "requestedSchema": FORM}),
        (
            URL,
            FOURTH,
            "elicitation/create",
            {"mode": "url", "message": "Log in", "url": "https://example.org", "elicitationId": "key"},
        ),
        (URL, FIFTH, "elicitation/create", {"mode": "url", "message": "Log in", "url": "https://example.org"}),
        (ListRoots(), FIRST, "roots/list", {}),
        (
            SAMPLE,
            FIRST,
            "sampling/createMessage",
            {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 5},
        ),
        (
            Sample([assistant("a")], 1, "system", 0.0, ("stop",)),
            FIFTH,
            "sampling/createMessage",
            {
                "messages": [{"role": "assistant", "content": {"type": "text", "text": "a"}}],
                "maxTokens": 1,
                "systemPrompt": "system",
                "temperature": 0.0,
                "stopSequences": ["stop"],
            },
        ),
    ],
)
def test_a_question_is_a_request_of_the_revision(
    question: Question, revision: Revision, method: str, params: dict[str, Any]
) -> None:
    assert questions.encode(question, revision, "key") == (method, params)


@pytest.mark.parametrize(
    ("question", "raw", "answer"),
    [
        (ELICIT, {"action": "accept", "content": {"a": "x"}}, Elicited("accept", {"a": "x"})),
        (ELICIT, {"action": "decline"}, Elicited("decline")),
        (URL, {"action": "cancel"}, Elicited("cancel")),
        (
            SAMPLE,
            {"role": "assistant", "content": {"type": "text", "text": "said"}, "model": "m", "stopReason": "endTurn"},
            Sampled("assistant", Text("said"), "m", "endTurn"),
        ),
        (
            SAMPLE,
            {"role": "assistant", "content": {"type": "image", "data": "/w==", "mimeType": "image/png"}, "model": "m"},
            Sampled("assistant", Image(b"\xff", "image/png"), "m"),
        ),
        (
            SAMPLE,
            {"role": "assistant", "content": {"type": "audio", "data": "/w==", "mimeType": "audio/wav"}, "model": "m"},
            Sampled("assistant", Audio(b"\xff", "audio/wav"), "m"),
        ),
        (
            ListRoots(),
            {"roots": [{"uri": "file:///a", "name": "A"}, {"uri": "file:///b"}]},
            Roots((ClientRoot("file:///a", "A"), ClientRoot("file:///b"))),
        ),
        (ListRoots(), {"roots": []}, Roots(())),
    ],
)
def test_an_answer_is_a_value_of_the_domain(question: Question, raw: object, answer: object) -> None:
    assert questions.decode(question, raw, "key") == answer


@pytest.mark.parametrize(
    ("question", "raw"),
    [
        (ELICIT, None),
        (ELICIT, "accept"),
        (ELICIT, {}),
        (ELICIT, {"action": "perhaps"}),
        (ELICIT, {"action": "accept", "content": "x"}),
        (ELICIT, {"action": "accept", "content": {"a": {"b": "c"}}}),
        (SAMPLE, {"role": "assistant", "content": {"type": "text", "text": "said"}}),
        (SAMPLE, {"role": "system", "content": {"type": "text", "text": "said"}, "model": "m"}),
        (SAMPLE, {"role": "assistant", "content": {"type": "image", "data": "?", "mimeType": "a/b"}, "model": "m"}),
        (SAMPLE, {"role": "assistant", "content": {"type": "video"}, "model": "m"}),
        (ListRoots(), {"roots": [{"uri": 5}]}),
        (ListRoots(), {"roots": None}),
        (ListRoots(), []),
    ],
)
def test_what_is_no_answer_is_refused_by_the_key_of_its_question(question: Question, raw: object) -> None:
    with pytest.raises(InvalidAnswer, match="'key'"):
        questions.decode(question, raw, "key")


def test_settings_of_extensions_are_kept_up_to_a_limit() -> None:
    def settings(size: int) -> object:
        declared = {"extensions": {"a/b": {"text": "x" * size}, "c/d": {"n": 1}, "e" * 201: {"n": 1}, "f/g": 5}}
        capabilities = questions.client_capabilities(declared)
        assert capabilities.extensions == ("a/b", "c/d")
        assert len(capabilities.extension_settings) <= 4096
        return capabilities.extension("c/d")

    assert settings(4000) == {"n": 1}
    assert settings(5000) == {}
    assert settings(2_000_000) == {}


def test_settings_are_read_anew_so_that_no_handler_changes_those_of_another() -> None:
    capabilities = questions.client_capabilities({"extensions": {"a/b": {"list": []}}})
    found = capabilities.extension("a/b")
    assert found is not None
    found["list"].append(1)
    assert capabilities.extension("a/b") == {"list": []}
