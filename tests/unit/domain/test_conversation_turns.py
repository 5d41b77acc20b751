"""The Conversation aggregate: turns, alternating roles, answered tool uses, limits, and its form as JSON."""

import json
from collections.abc import Callable

import pytest

from tfo_mcp.domain.content import Image, Text
from tfo_mcp.domain.conversation import (
    INTERRUPTED,
    NOT_RUN,
    Conversation,
    ConversationLimits,
    ConversationState,
    ModelSettings,
)
from tfo_mcp.domain.dialogue import Document, RedactedThinking, Thinking, ToolAnswer, ToolUse
from tfo_mcp.domain.errors import InvalidParams, OperationFailed
from tfo_mcp.domain.events import ConversationClosed, ConversationCreated, MessageAdded
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage

LIMITS = ConversationLimits(6, 1000, 10_000)
USED = TokenUsage(10, 2, 3, 4, 0.5)
READ = ToolUse("t1", "read_file", {"path": "a"})
WRITE = ToolUse("t2", "write_file", {"path": "b"})


def begun(text: str = "Hi") -> Conversation:
    conversation = Conversation.begin("key:alice", ModelSettings("claude", 100), 1.0)
    conversation.begin_turn([Text(text)], LIMITS, 1.0)
    return conversation


def told(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in conversation.messages]


class TestTurns:
    def test_a_turn_adds_a_message_of_each_and_counts_the_tokens(self) -> None:
        conversation = begun()
        assert conversation.state is ConversationState.ACTIVE
        conversation.add_reply([Text("Hello")], USED)
        conversation.end_turn()
        assert told(conversation) == [("user", "Hi"), ("assistant", "Hello")]
        assert (conversation.usage, conversation.context_tokens, conversation.turn) == (USED, 19, None)
        kinds = [type(event) for event in conversation.collect_events()]
        assert kinds == [ConversationCreated, MessageAdded, MessageAdded]

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_an_empty_message_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidParams, match="must not be empty"):
            begun(text)

    def test_the_model_does_not_speak_twice(self) -> None:
        conversation = begun()
        conversation.add_reply([Text("Hello")], USED)
        with pytest.raises(InvalidParams, match="user's turn"):
            conversation.add_reply([Text("Again")], USED)

    def test_what_the_user_says_after_a_message_without_reply_joins_it(self) -> None:
        conversation = begun()
        conversation.add_reply([], USED)
        conversation.end_turn()
        conversation.begin_turn([Text(" Are you there?")], LIMITS, 2.0)
        assert told(conversation) == [("user", "Hi Are you there?")]

    def test_other_calls_wait_while_one_works(self) -> None:
        conversation = begun()
        conversation.busy_until = 12.5
        with pytest.raises(OperationFailed, match="in 11 seconds at the latest"):
            conversation.begin_turn([Text("And me?")], LIMITS, 2.0)
        conversation.begin_turn([Text(" I wait")], LIMITS, 13.0)
        assert told(conversation) == [("user", "Hi I wait")]

    def test_a_failed_first_reply_takes_the_message_back_and_keeps_the_tokens(self) -> None:
        conversation = begun()
        conversation.charge(USED)
        conversation.fail_turn()
        assert (conversation.messages, conversation.usage, conversation.turn) == ([], USED, None)

    def test_a_failed_turn_leaves_the_history_as_before(self) -> None:
        conversation = begun()
        conversation.add_reply([], USED)
        conversation.end_turn()
        before = list(conversation.messages)
        conversation.begin_turn([Text("More")], LIMITS, 2.0)
        conversation.fail_turn()
        assert conversation.messages == before


class TestTools:
    def test_every_tool_use_needs_exactly_one_answer(self) -> None:
        conversation = begun()
        conversation.add_reply([Text("Wait"), READ, WRITE], USED)
        one, other = ToolAnswer("t1", (Text("1"),)), ToolAnswer("t2", (Text("2"),))
        wrong: list[list[ToolAnswer]] = [[], [one], [one, one], [one, other, other], [one, ToolAnswer("t3", ())]]
        for answers in wrong:
            with pytest.raises(InvalidParams, match="exactly one result"):
                conversation.answer_tools(answers)
        conversation.answer_tools([other, one])
        assert [message.role for message in conversation.messages] == ["user", "assistant", "user"]
        assert conversation.open_tool_uses == ()

    def test_no_tool_begins_twice(self) -> None:
        conversation = begun()
        conversation.add_reply([READ, WRITE], USED)
        conversation.start_tools(["t1"])
        with pytest.raises(OperationFailed, match="started already"):
            conversation.start_tools(["t2", "t1"])

    def test_a_new_message_answers_tools_that_nobody_waits_for(self) -> None:
        conversation = begun()
        conversation.add_reply([READ, WRITE], USED)
        conversation.start_tools(["t2"])
        conversation.begin_turn([Text("Never mind")], LIMITS, 2.0)
        *answers, text = conversation.messages[-1].content
        assert answers == [
            ToolAnswer("t1", (Text(NOT_RUN),), is_error=True),
            ToolAnswer("t2", (Text(INTERRUPTED),), is_error=True),
        ]
        assert text == Text("Never mind")

    def test_a_turn_that_fails_after_tools_keeps_their_results(self) -> None:
        conversation = begun()
        conversation.add_reply([READ], USED)
        conversation.answer_tools([ToolAnswer("t1", (Text("1"),))])
        conversation.fail_turn()
        assert len(conversation.messages) == 3
        conversation.begin_turn([Text("Go on")], LIMITS, 2.0)
        conversation.withdraw()
        assert conversation.messages[-1].content == (ToolAnswer("t1", (Text("1"),)),)


class TestLimits:
    @pytest.mark.parametrize(
        ("fill", "named"),
        [
            (lambda each: each.messages.extend(each.messages * 5), "6 messages"),
            (lambda each: setattr(each, "context_tokens", 1000), "1000 tokens"),
            (lambda each: each.messages.append(each.messages[0].joined([Text("x" * 10_000)])), "10000 bytes"),
        ],
    )
    def test_a_conversation_at_a_limit_is_closed(self, fill: Callable[[Conversation], None], named: str) -> None:
        conversation = begun()
        conversation.end_turn()
        fill(conversation)
        conversation.collect_events()
        for reason in (named, "closed"):
            with pytest.raises(OperationFailed, match=f"closed.*{reason}|{reason}.*Begin"):
                conversation.begin_turn([Text("More")], LIMITS, 2.0)
        assert conversation.state is ConversationState.CLOSED
        assert [type(event) for event in conversation.collect_events()] == [ConversationClosed]


def test_it_is_the_same_after_a_way_through_json() -> None:
    conversation = begun()
    conversation.add_reply([Thinking("hm", "sig"), RedactedThinking("opaque"), Text("Wait"), READ], USED)
    conversation.start_tools(["t1"])
    conversation.answer_tools([ToolAnswer("t1", (Text("1"), Image(b"\x89PNG", "image/png")), is_error=True)])
    conversation.messages.append(conversation.messages[0].joined([Document(b"%PDF", "application/pdf", "plan")]))
    copy = Conversation.from_document(json.loads(json.dumps(conversation.document())))
    assert copy == conversation
    assert copy.document() == conversation.document()


def test_an_unknown_cost_stays_unknown_in_sums() -> None:
    assert (USED + TokenUsage(1, cost=None)).cost is None
    assert (NO_USAGE + USED) == USED
