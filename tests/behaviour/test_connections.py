"""Connections: many concurrent requests on one channel, and line framing.

These tests run over every transport whose connection represents one client: stdio, the Unix socket, WebSocket and
HTTP+SSE. The line tests run over the first two.
"""

import json
from collections.abc import Sequence

import pytest

from tests.behaviour.conftest import LINE_LIMIT, OpenFresh
from tests.behaviour.matrix import CONNECTIONS, CROWDED, FEW, LOCAL, REVISIONS, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, request, stateless_params
from tests.support.line_conversation import LineConversation

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@over(*REVISIONS, transports=LOCAL)
def test_blank_lines_and_carriage_returns_do_no_harm(conversation: Conversation) -> None:
    """R36."""
    message = request("framed", "tools/list", conversation.envelope({}))
    for before, after in ((b"", b"\r"), (b"\n\n", b""), (b" \n\t\n\r\n", b"\r\n"), (b"  ", b"  ")):
        conversation.send_frame(before + json.dumps(message).encode() + after)
        result_of(conversation.reply("framed"))
        assert not conversation.settle()


@over(*FEW)
@pytest.mark.parametrize("length", [70_000, 1_500_000])
def test_long_messages_pass_both_ways(conversation: Conversation, length: int) -> None:
    """R36."""
    text = "äb cd ef " * (length // 9)
    assert conversation.text("echo", {"message": text}) == text


@over(*REVISIONS, transports=LOCAL)
@pytest.mark.parametrize("order", [("jsonrpc", "id", "method", "params"), ("method", "params", "jsonrpc", "id")])
def test_a_line_that_is_too_long_gets_an_error_and_the_next_line_is_served(
    conversation: Conversation, order: Sequence[str]
) -> None:
    """R36, R47."""
    message = request("long", "tools/call", {"name": "echo", "arguments": {"message": "x" * LINE_LIMIT}})
    conversation.send({name: message[name] for name in order})
    error = error_of(conversation.reply("long"))
    assert error["code"] == -32600
    assert str(LINE_LIMIT) in error["message"]
    assert not conversation.settle()


@over(*FEW, transports=LOCAL)
@pytest.mark.parametrize(
    "line",
    [
        b"x" * (LINE_LIMIT + 1),
        b'{"jsonrpc":"2.0","id":1,"result":{"text":"%b"}}' % (b"x" * LINE_LIMIT),
        b'{"params":"%b","id":1,"method":"ping","params":"%b"}' % (b"x" * LINE_LIMIT, b"x" * 5000),
    ],
    ids=["no message", "an answer", "an id in the middle"],
)
def test_a_line_that_is_too_long_and_shows_no_id_gets_an_error_without_one(
    conversation: LineConversation, line: bytes
) -> None:
    """R36."""
    conversation.write(line + b"\n")
    assert conversation.message().get("id") is None
    assert not conversation.settle()


@over(*REVISIONS, transports=LOCAL)
def test_lines_may_come_in_pieces_and_together(conversation: LineConversation) -> None:
    """R36."""
    lines = [json.dumps(request(f"p{number}", "tools/list", conversation.envelope({}))).encode() for number in range(3)]
    whole = b"\n".join(lines) + b"\n"
    for part in (whole[:5], whole[5:200], whole[200:]):
        conversation.write(part)
    for number in range(3):
        result_of(conversation.reply(f"p{number}"))


@over(*REVISIONS)
def test_requests_are_served_concurrently_and_answered_when_done(conversation: Conversation, key: str) -> None:
    """R37."""
    slow = [conversation.start_tool("hold", {"key": f"{key}{number}"}) for number in range(3)]
    slow.append(conversation.start_tool("hold_thread", {"key": f"{key}3"}))
    for number in range(4):
        conversation.text("story", {"key": f"{key}{number}", "until": "held"})
    assert conversation.text("echo", {"message": "quick"}) == "quick"
    conversation.result("tools/list")
    for number in (3, 1, 0, 2):
        conversation.text("open_gate", {"key": f"{key}{number}"})
        result_of(conversation.reply(slow[number]))


@over(*FEW)
def test_hundreds_of_requests_at_once_are_all_answered(conversation: Conversation) -> None:
    """R37."""
    expected = {conversation.start_tool("echo", {"message": str(number)}): str(number) for number in range(200)}
    for identifier, text in expected.items():
        assert result_of(conversation.reply(identifier))["content"][0]["text"] == text


@over(*FEW, transports=CROWDED)
def test_clients_of_one_process_get_each_its_own_replies(open_fresh: OpenFresh) -> None:
    """R41, R50: also if the clients use the same ids at the same time."""
    with open_fresh() as first, open_fresh() as second:
        for number in range(50):
            for name, conversation in (("first", first), ("second", second)):
                conversation.start_tool("echo", {"message": f"{name} {number}"}, id=number)
        for name, conversation in (("first", first), ("second", second)):
            texts = [result_of(conversation.reply(number))["content"][0]["text"] for number in range(50)]
            assert texts == [f"{name} {number}" for number in range(50)]
            assert not conversation.settle()


@over(STATELESS)
def test_the_server_sends_no_requests_in_the_stateless_era(conversation: Conversation) -> None:
    """R38, R62."""
    for name in ("ask_name", "ask_model", "ask_roots", "ask_visit", "ask_all", "report_and_ask"):
        assert conversation.tool(name)["resultType"] == "input_required"
    assert not conversation.settle()


@over(*REVISIONS, transports=CONNECTIONS)
def test_responses_that_nobody_waits_for_are_ignored(conversation: Conversation) -> None:
    """R38."""
    conversation.send({"jsonrpc": "2.0", "id": 1, "result": {}})
    conversation.send({"jsonrpc": "2.0", "id": "no-such", "error": {"code": 1, "message": "no"}})
    conversation.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}})
    assert not conversation.settle()


@over(*REVISIONS)
def test_nothing_is_sent_for_a_request_after_it_was_cancelled(conversation: Conversation, key: str) -> None:
    """R39, R75: neither a response nor progress nor log messages."""
    options = {} if not conversation.stateless else {"log_level": "debug"}
    running = conversation.start_tool("hold_thread", {"key": key}, meta={"progressToken": "late"}, **options)
    conversation.text("story", {"key": key, "until": "held"})
    conversation.cancel(running)
    conversation.text("story", {"key": key, "until": "noticed"})
    conversation.text("open_gate", {"key": key})
    conversation.text("story", {"key": key, "until": "finished"})
    assert not conversation.settle()


@over(LATEST_HANDSHAKE, transports=CONNECTIONS)
def test_both_eras_and_their_subscriptions_share_one_connection(open_fresh: OpenFresh) -> None:
    """R32, R40."""
    with open_fresh() as conversation:
        for identifier in ("one", "two"):
            params = stateless_params({"notifications": {"toolsListChanged": identifier == "two"}})
            conversation.start("subscriptions/listen", params, id=identifier, bare=True)
        tags = {conversation.notification(ACKNOWLEDGED)["params"]["_meta"][SUBSCRIPTION] for _ in range(2)}
        assert tags == {"one", "two"}
        conversation.text("appear", {"kind": "tool"})
        conversation.settle()
        notes = conversation.waiting_notifications("notifications/tools/list_changed")
        tagged = [(note.get("params") or {}).get("_meta", {}).get(SUBSCRIPTION) for note in notes]
        assert sorted(tagged, key=str) == [None, "two"]
