"""Extensions of the protocol, and metadata of definitions, contents and results."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.behaviour.matrix import FEW
from tests.support.conversations import Conversation
from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.processes import PROJECT
from tests.support.services import Services, services

APPS = "io.modelcontextprotocol/ui"
HTML = "text/html;profile=mcp-app"
VIEW = "ui://clock/view.html"
NO_META = ("2024-11-05", "2025-03-26")
WITH_APPS = {"extensions": {APPS: {"mimeTypes": [HTML]}}}


@pytest.fixture(scope="module")
def clock() -> Iterator[Services]:
    settings = {"mcp": {"plugins": ["clock"]}, "security": {"anonymous": "all"}}
    with services(settings, {"PYTHONPATH": str(PROJECT / "docs" / "examples")}) as running:
        yield running


@pytest.fixture
def open_conversation(clock: Services) -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(clock.fresh(*arguments))


def capabilities_of(conversation: Conversation) -> Any:
    if conversation.stateless:
        return conversation.result("server/discover")["capabilities"]
    return conversation.initialized["capabilities"]


def names(conversation: Conversation) -> set[str]:
    return {tool["name"] for tool in conversation.everything("tools/list", "tools")} & {"show_clock", "read_clock"}


@pytest.mark.parametrize("revision", FEW)
@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_a_view_is_offered_to_clients_that_show_it(open_conversation: Any, transport: str, revision: str) -> None:
    shows: Conversation = open_conversation(transport, revision, WITH_APPS)
    shows_none: Conversation = open_conversation(transport, revision, {})
    shows_other: Conversation = open_conversation(transport, revision, {"extensions": {APPS: {"mimeTypes": ["x/y"]}}})
    assert capabilities_of(shows)["extensions"] == {APPS: {}}
    assert names(shows) == {"show_clock", "read_clock"}
    assert names(shows_none) == names(shows_other) == {"show_clock"}
    assert names(shows) == {"show_clock", "read_clock"}
    listed = {tool["name"]: tool for tool in shows.everything("tools/list", "tools")}
    assert listed["show_clock"]["_meta"] == {"ui": {"resourceUri": VIEW}}
    assert shows.text("show_clock") == "The user sees a clock."
    assert shows_none.text("show_clock").startswith("It is ")
    assert "time" in shows.tool("read_clock")["structuredContent"]
    (page,) = shows.result("resources/read", {"uri": VIEW})["contents"]
    assert (page["mimeType"], page["_meta"]) == (HTML, {"ui": {"prefersBorder": True}})
    assert page["text"].startswith("<!doctype html>")


@pytest.mark.parametrize("revision", NO_META)
def test_revisions_without_metadata_are_sent_none(open_conversation: Any, revision: str) -> None:
    conversation: Conversation = open_conversation("http", revision)
    assert "extensions" not in conversation.initialized["capabilities"]
    tools = conversation.everything("tools/list", "tools")
    (page,) = conversation.result("resources/read", {"uri": VIEW})["contents"]
    assert not [entry for entry in (*tools, page) if "_meta" in entry]


@pytest.fixture(scope="module")
def labelled() -> Iterator[Services]:
    settings = {"mcp": {"plugins": ["tests.support.plugins.labelled"]}, "security": {"anonymous": "all"}}
    with services(settings, {"PYTHONPATH": str(PROJECT)}) as running:
        yield running


@pytest.mark.parametrize("revision", FEW)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_metadata_is_sent_in_every_place(labelled: Services, transport: str, revision: str) -> None:
    conversation = labelled.shared(transport, revision)

    def listed(method: str, member: str, name: str) -> Any:
        return next(entry for entry in conversation.everything(method, member) if name in entry.values())

    result = conversation.tool("labelled_tool")
    rendered = conversation.result("prompts/get", {"name": "labelled_prompt"})
    places = {
        "tool": listed("tools/list", "tools", "labelled_tool"),
        "tool result": result,
        "block": result["content"][0],
        "resource": listed("resources/list", "resources", "labelled://one"),
        "contents": conversation.result("resources/read", {"uri": "labelled://one"})["contents"][0],
        "template": listed("resources/templates/list", "resourceTemplates", "labelled://all/{name}"),
        "prompt": listed("prompts/list", "prompts", "labelled_prompt"),
        "prompt result": rendered,
        "message": rendered["messages"][0]["content"],
    }
    assert {place: found["_meta"]["example.org/label"] for place, found in places.items()} == {
        place: {"place": place} for place in places
    }


@pytest.mark.parametrize("revision", FEW)
@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_a_tool_reads_the_settings_of_an_extension(labelled: Services, transport: str, revision: str) -> None:
    own = {"example.org/own": {"sizes": [1, {"deep": "é"}]}, "example.org/bare": {}}
    with labelled.fresh(transport, revision, {"extensions": {**WITH_APPS["extensions"], **own}}) as conversation:

        def settings(extension: str) -> Any:
            return conversation.tool("declared_settings", {"extension": extension})["structuredContent"]["settings"]

        assert settings(APPS) == {"mimeTypes": [HTML]}
        assert settings("example.org/own") == own["example.org/own"]
        assert settings("example.org/bare") == {}
        assert settings("example.org/none") is None


def test_any_declaration_of_extensions_is_borne(open_conversation: Any) -> None:
    many: dict[str, Any] = {f"example.org/{number}": {} for number in range(2000)}
    for declared in ({"extensions": many}, {"extensions": {**many, APPS: 5, "x" * 500: {}}}, {"extensions": [APPS]}):
        conversation: Conversation = open_conversation("http", LATEST_HANDSHAKE, declared)
        assert names(conversation) == {"show_clock"}
    conversation = open_conversation("http", LATEST_HANDSHAKE, {"extensions": {**many, APPS: {}}})
    assert names(conversation) == {"show_clock", "read_clock"}
