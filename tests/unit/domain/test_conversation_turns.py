"""The Conversation aggregate: the order of roles. Also the capabilities of questions, and the kinds of errors."""

from typing import Any

import pytest

from tfo_mcp.domain import errors, events
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.errors import DomainError, InvalidParams, Kind, MissingCapability
from tfo_mcp.domain.events import CHANGES, Change, ConversationCreated, MessageAdded
from tfo_mcp.domain.interaction import Elicit, ElicitUrl, ListRoots, Question, Sample, required_capability


class TestConversation:
    def test_turns_alternate_and_the_user_is_first(self) -> None:
        conversation = Conversation.begin()
        with pytest.raises(InvalidParams, match="the user's turn"):
            conversation.add("assistant", "Hello")
        conversation.add("user", "Hello")
        with pytest.raises(InvalidParams, match="the assistant's turn"):
            conversation.add("user", "Hello?")
        conversation.add("assistant", "Yes?")
        assert [(message.role, message.text) for message in conversation.messages] == [
            ("user", "Hello"),
            ("assistant", "Yes?"),
        ]

    @pytest.mark.parametrize("text", ["", " ", "\n\t"])
    def test_a_message_says_something(self, text: str) -> None:
        with pytest.raises(InvalidParams, match="empty"):
            Conversation.begin().add("user", text)

    def test_it_tells_of_its_beginning_and_of_every_message(self) -> None:
        conversation = Conversation.begin()
        message = conversation.add("user", "Hello")
        assert conversation.collect_events() == [
            ConversationCreated(conversation.id),
            MessageAdded(conversation.id, message.id),
        ]
        assert conversation.collect_events() == []


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        (Elicit("?", {}), {"elicitation": {}}),
        (ElicitUrl("?", "https://example.org"), {"elicitation": {"url": {}}}),
        (Sample([], 1), {"sampling": {}}),
        (ListRoots(), {"roots": {}}),
    ],
)
def test_each_question_needs_its_capability(question: Question, needed: dict[str, Any]) -> None:
    assert required_capability(question) == needed


def all_errors(root: type[DomainError] = DomainError) -> list[type[DomainError]]:
    """Return the error classes that the domain itself defines."""
    below = [found for child in root.__subclasses__() for found in all_errors(child)]
    return [found for found in [root, *below] if found.__module__ == errors.__name__]


def test_every_error_has_a_kind_and_stands_in_the_tree_of_the_docstring() -> None:
    tree = errors.__doc__ or ""
    for error in all_errors():
        assert error.kind in Kind
        assert error.__name__ in tree


def test_an_error_carries_what_is_safe_to_show() -> None:
    problem = InvalidParams("Wrong", name="x")
    assert (problem.message, dict(problem.details), str(problem)) == ("Wrong", {"name": "x"}, "Wrong")
    assert MissingCapability({"roots": {}, "sampling": {}}).message.endswith("roots, sampling")


def test_every_change_is_announced_and_has_a_topic() -> None:
    defined = {found for found in vars(events).values() if isinstance(found, type) and issubclass(found, Change)}
    assert set(CHANGES) == defined - {Change}
    assert {change.topic for change in CHANGES} == {"tools", "prompts", "resources", "resource"}
