"""Cancellation, progress, time limits and rate limits."""

import json
from typing import Any

import pytest

from tests.behaviour.matrix import FEW, REVISIONS, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS

PROGRESS = "notifications/progress"
CANCELLED = "notifications/cancelled"


@over(*REVISIONS)
@pytest.mark.parametrize("identifier", [41, "forty-one"], ids=repr)
def test_a_cancelled_request_is_stopped_and_not_answered(
    conversation: Conversation, identifier: int | str, key: str
) -> None:
    """R39, R52, R73: by a notification or by closing the connection."""
    conversation.start_tool("hold", {"key": key}, id=identifier)
    other = conversation.start_tool("hold", {"key": f"{key}other"})
    for gate in (key, f"{key}other"):
        conversation.text("story", {"key": gate, "until": "held"})
    conversation.cancel(identifier)
    assert conversation.text("story", {"key": key, "until": "cancelled"}) == "held, cancelled"
    assert not conversation.settle()
    conversation.text("open_gate", {"key": f"{key}other"})
    assert result_of(conversation.reply(other))["content"][0]["text"] == f"{key}other was opened"


@over(*REVISIONS)
def test_a_cancelled_call_frees_its_id(conversation: Conversation, key: str) -> None:
    """R7, R73."""
    conversation.start_tool("hold", {"key": key}, id="free")
    conversation.text("story", {"key": key, "until": "held"})
    conversation.cancel("free")
    conversation.text("story", {"key": key, "until": "cancelled"})
    conversation.settle()
    assert conversation.text("echo", {"message": "hi"}, id="free") == "hi"


@over(*REVISIONS)
@pytest.mark.parametrize(
    "params",
    [{"requestId": 987654}, {"requestId": "no-such"}, {"requestId": None}, {"requestId": [1]}, {}, {"reason": 5}],
)
def test_a_cancellation_of_nothing_is_ignored(conversation: Conversation, params: dict[str, Any]) -> None:
    """R73."""
    conversation.notify(CANCELLED, params)
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS)
def test_a_cancellation_after_the_answer_is_ignored(conversation: Conversation) -> None:
    """R73."""
    conversation.text("echo", {"message": "hi"}, id="over")
    conversation.cancel("over")
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS)
def test_a_cancellation_means_an_id_of_its_own_type(conversation: Conversation, key: str) -> None:
    """R2, R73."""
    conversation.start_tool("hold", {"key": key}, id=5000)
    conversation.text("story", {"key": key, "until": "held"})
    conversation.notify(CANCELLED, {"requestId": "5000"})
    conversation.notify(CANCELLED, {"requestId": 5000.5})
    conversation.settle()
    conversation.text("open_gate", {"key": key})
    result_of(conversation.reply(5000))


@over(*HANDSHAKE_REVISIONS)
def test_initialize_cannot_be_cancelled(conversation: Conversation) -> None:
    """R73."""
    for identifier in range(1, 4):
        conversation.notify(CANCELLED, {"requestId": identifier})
    assert not conversation.settle()
    conversation.result("tools/list")


@over(*HANDSHAKE_REVISIONS)
def test_a_cancelled_call_takes_its_question_to_the_client_with_it(conversation: Conversation) -> None:
    """R73: the server ignores a late answer to the question."""
    identifier = conversation.start_tool("ask_roots")
    question = conversation.server_request("roots/list")
    conversation.cancel(identifier)
    conversation.settle()
    conversation.forget()
    conversation.answer(question, {"roots": []})
    assert not conversation.settle()


@over(*FEW)
def test_a_race_between_answer_and_cancellation_does_no_harm(conversation: Conversation) -> None:
    """R73: the server sends at most one response and nothing else."""
    for number in range(50):
        identifier = conversation.start_tool("echo", {"message": str(number)}, id=f"race {number}")
        conversation.cancel(identifier)
    conversation.settle()
    identifiers = [message["id"] for message in conversation.waiting()]
    assert len(set(identifiers)) == len(identifiers)
    assert set(identifiers) <= {f"race {number}" for number in range(50)}


@over(STATELESS)
def test_the_server_cancels_nothing_in_the_stateless_era(pressed: Conversation, key: str) -> None:
    """R74."""
    error_of(pressed.reply(pressed.start_tool("hold", {"key": key})))
    pressed.tool("ask_name")
    assert not pressed.settle()


def reported(conversation: Conversation, name: str, arguments: dict[str, Any], token: Any) -> list[dict[str, Any]]:
    """Call a tool with a progress token and return the params of the progress notifications before the response."""
    conversation.text(name, arguments, meta={"progressToken": token})
    reports = [note["params"] for note in conversation.waiting_notifications(PROGRESS)]
    conversation.forget()
    return reports


@over(*REVISIONS)
@pytest.mark.parametrize("token", ["text", "", 0, 7, "0"], ids=repr)
def test_progress_goes_to_the_token_in_value_and_type(conversation: Conversation, token: str | int) -> None:
    """R75."""
    reports = reported(conversation, "progress", {"values": [10, 20.5]}, token)
    assert [report["progress"] for report in reports] == [10, 20.5]
    assert all(type(report["progressToken"]) is type(token) and report["progressToken"] == token for report in reports)
    assert not conversation.settle()


@over(*REVISIONS)
def test_progress_always_grows(conversation: Conversation) -> None:
    """R75."""
    reports = reported(conversation, "progress", {"values": [5, 5, 3, 6, 6, -1, 7, 100]}, "token")
    assert [report["progress"] for report in reports] == [5, 6, 7, 100]
    assert {report["total"] for report in reports} == {100}


@over(*FEW)
def test_a_plain_function_may_report_progress(conversation: Conversation) -> None:
    """R75."""
    reports = reported(conversation, "progress_from_a_thread", {}, 1)
    assert [(report["progress"], "total" in report) for report in reports] == [(1, False), (2.5, False)]


@over(*REVISIONS)
def test_nothing_is_reported_without_a_token(conversation: Conversation) -> None:
    """R75."""
    conversation.text("progress", {"values": [1, 2]})
    assert not conversation.settle()


@over(*REVISIONS)
@pytest.mark.parametrize("token", [1.5, None, True, [], {}], ids=repr)
def test_a_token_of_a_wrong_type_is_refused_or_ignored(conversation: Conversation, token: Any) -> None:
    """R75."""
    reply = conversation.reply(conversation.start_tool("progress", {"values": [1]}, meta={"progressToken": token}))
    assert "result" in reply or error_of(reply)["code"] == -32602
    assert not conversation.settle()


@over(*FEW)
def test_calls_at_the_same_time_report_to_their_own_tokens(conversation: Conversation, key: str) -> None:
    """R50, R75."""
    identifiers = [
        conversation.start_tool("hold_reporting", {"key": f"{key}{token}"}, meta={"progressToken": token})
        for token in ("one", "two")
    ]
    for token in ("one", "two"):
        conversation.text("story", {"key": f"{key}{token}", "until": "reported"})
        conversation.text("open_gate", {"key": f"{key}{token}"})
    for identifier in identifiers:
        result_of(conversation.reply(identifier))
    conversation.settle()
    notes = conversation.waiting_notifications(PROGRESS)
    for token in ("one", "two"):
        values = [note["params"]["progress"] for note in notes if note["params"]["progressToken"] == token]
        assert values == sorted(set(values))
        assert values[:3] == [1, 2, 3]


@over(*FEW)
def test_a_flood_of_reports_is_thinned_and_its_end_is_told(conversation: Conversation) -> None:
    """R76, R90."""
    if conversation.stateless:
        conversation.text("flood", {"count": 3000}, meta={"progressToken": "flood"}, log_level="debug")
    else:
        conversation.text("flood", {"count": 3000}, meta={"progressToken": "flood"})
    notes = conversation.waiting_notifications()
    assert 1 < len(notes) < 2000
    values = [note["params"]["progress"] for note in notes if note["method"] == PROGRESS]
    assert values == sorted(set(values))
    assert values[-1] == 3000


@over(*FEW)
def test_a_call_has_a_time_limit_even_when_it_reports_progress(pressed: Conversation, key: str) -> None:
    """R76."""
    calls = {
        name: pressed.start_tool(name, {"key": f"{key}{name}"}, meta={"progressToken": name})
        for name in ("hold", "hold_reporting")
    }
    for name, identifier in calls.items():
        error = error_of(pressed.reply(identifier))
        assert error["data"]["kind"] == "timeout"
        assert not -32768 <= error["code"] <= -32000
        assert "1 seconds" in error["message"]
        assert "cancelled" in pressed.text("story", {"key": f"{key}{name}", "until": "cancelled"})


@over(LATEST_HANDSHAKE)
def test_a_question_has_a_time_limit_and_is_cancelled_after_it(pressed: Conversation) -> None:
    """R76."""
    identifier = pressed.start_tool("ask_name")
    question = pressed.server_request("elicitation/create")
    assert pressed.notification(CANCELLED)["params"]["requestId"] == question["id"]
    result = result_of(pressed.reply(identifier))
    assert result["isError"], json.dumps(result)
    assert "did not answer" in result["content"][0]["text"]
    pressed.answer(question, {"action": "decline"})
    assert not pressed.settle()
