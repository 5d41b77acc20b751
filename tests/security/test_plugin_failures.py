"""Plugin failures: any failure ends only its own call, with a response, on every transport and in both eras."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, JsonObject
from tests.support.plugins import failing
from tests.support.services import TRANSPORTS, Services, services

ERAS = (LATEST_HANDSHAKE, STATELESS)
WAYS = [*failing.WAYS, "recursion", "exit"]
RUNNERS = ["fails_in_a_thread", "fails_at_once", "fails_later", "fails_in_a_task", "fails_in_a_group"]
NO_FAILURES = {
    ("fails_in_a_group", "cancelled"),  # the task group treats that as the end of its task
    ("fails_in_a_task", "generator_exit"),  # Python closes the coroutine that awaits such a task
}
SETTINGS: dict[str, Any] = {
    "mcp": {"plugins": ["tests.support.plugins.failing"]},
    "security": {"anonymous": "all"},
    "logging": {"format": "json"},
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Services]:
    with services(SETTINGS) as running:
        yield running


@pytest.fixture(params=[f"{transport}-{era}" for transport in TRANSPORTS for era in ERAS])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    transport, _, era = request.param.partition("-")
    return transport, era


@pytest.fixture
def conversation(servers: Services, place: tuple[str, str]) -> Conversation:
    return servers.shared(*place)


def error_id(result: JsonObject) -> str:
    """Return the error id of a failed result, which must contain nothing else."""
    assert result["isError"] is True
    (block,) = result["content"]
    found = re.fullmatch(r"Internal error \(error id ([0-9a-f]{16})\)", block["text"])
    assert found
    assert result["_meta"]["errorId"] == found[1]
    assert "structuredContent" not in result
    return found[1]


class ErrorLog:
    """The entries that the log of a conversation's server gets from now on."""

    def __init__(self, conversation: Conversation) -> None:
        self._child = conversation.child
        self._since = conversation.child.log_size()

    def assert_has(self, error_ids: list[str], where: str) -> None:
        """Check that there is an entry for each error id."""
        one_of_them = re.compile("|".join(error_ids))

        def entries() -> list[str]:
            found = [line for line in self._child.log_lines(self._since) if one_of_them.search(line)]
            return found if len(found) == len(error_ids) else []

        for line in wait_until(entries, "the entries of the errors in the log"):
            logged = json.loads(line)
            assert logged["where"] == where
            assert 0 < len(logged["exception"]) < 1_000_000


@pytest.fixture
def log(conversation: Conversation) -> ErrorLog:
    return ErrorLog(conversation)


def assert_internal(log: ErrorLog, *results: JsonObject) -> None:
    """Check that each failed result contains only an error id, and that the log has an entry with it."""
    log.assert_has([error_id(result) for result in results], "tools/call")


def assert_protocol_errors(log: ErrorLog, errors: list[JsonObject], where: str) -> None:
    """Check that each error contains only an error id, and that the log has an entry with it."""
    for error in errors:
        assert error["code"] == -32603
        assert failing.SECRET not in json.dumps(error)
        assert error["data"]["errorId"] in error["message"]
    log.assert_has([error["data"]["errorId"] for error in errors], where)


class TestTools:
    @pytest.mark.parametrize("name", RUNNERS)
    def test_whatever_a_tool_raises_is_a_failed_result_with_an_id(
        self, conversation: Conversation, log: ErrorLog, name: str
    ) -> None:
        ways = [way for way in WAYS if (name, way) not in NO_FAILURES]
        assert_internal(log, *(conversation.tool(name, {"way": way}) for way in ways))
        assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("way", ["system_exit", "cancelled", "mute", "group"])
    def test_arguments_and_results_that_raise_do_the_same(
        self, conversation: Conversation, log: ErrorLog, way: str
    ) -> None:
        in_arguments = conversation.tool("fails_in_its_arguments", {"argument": {"value": way}})
        in_result = conversation.tool("fails_in_its_result", {"way": way})
        assert_internal(log, in_arguments, in_result)

    @pytest.mark.parametrize("what", ["coroutine", "generator", "object", "text", "image", "result", "another_shape"])
    def test_what_cannot_be_sent_is_a_failed_result_with_an_id(
        self, conversation: Conversation, log: ErrorLog, what: str
    ) -> None:
        name, arguments = ("returns_another_shape", {}) if what == "another_shape" else ("returns", {"what": what})
        assert_internal(log, conversation.tool(name, arguments))

    def test_text_with_half_of_a_surrogate_pair_is_sent_as_far_as_json_can(self, conversation: Conversation) -> None:
        result = conversation.tool("returns", {"what": "surrogates"})
        assert result["content"][0]["text"] == "\N{REPLACEMENT CHARACTER}"
        result = conversation.tool("returns", {"what": "surrogates within"})
        assert json.loads(result["content"][0]["text"]) == {
            "name \N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}"]
        }

    def test_an_error_for_the_client_is_shown_as_far_as_json_can(self, conversation: Conversation) -> None:
        result = conversation.tool("refuses_with_surrogates")
        assert result["isError"] is True
        assert result["content"][0]["text"] == "the file ? is missing"

    @pytest.mark.parametrize("waits", [False, True])
    def test_a_tool_that_cancels_its_own_task_is_answered(
        self, conversation: Conversation, log: ErrorLog, waits: bool
    ) -> None:
        result = conversation.tool("cancels_itself", {"waits": waits})
        if waits:
            assert_internal(log, result)
        else:
            assert result["content"][0]["text"] == "went on"
        assert conversation.text("echo", {"message": "still here"}) == "still here"

    def test_tasks_and_threads_that_a_tool_leaves_behind_end_nobody(self, conversation: Conversation) -> None:
        for way in ("system_exit", "keyboard_interrupt", "base_exception", "exception"):
            assert conversation.text("starts_a_task", {"way": way}) == "started"
            assert conversation.text("starts_a_thread", {"way": way}) == "started"
        end = time.monotonic() + 0.3  # longer than the abandoned tasks run
        while time.monotonic() < end:
            assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("way", ["exit", "keyboard_interrupt", "cancelled", "group", "mute"])
    @pytest.mark.parametrize("name", ["fails_after_asking", "fails_after_asking_in_a_thread"])
    def test_a_failure_after_a_question_is_a_failed_result(
        self, conversation: Conversation, log: ErrorLog, name: str, way: str
    ) -> None:
        assert_internal(log, answered(conversation, name, {"way": way}))

    def test_a_question_from_a_task_group_is_asked(self, conversation: Conversation) -> None:
        assert answered(conversation, "asks_in_a_group", {})["content"][0]["text"] == "asked"


def answered(conversation: Conversation, name: str, arguments: JsonObject) -> JsonObject:
    """Call a tool that asks one question, answer it, and return the result."""
    answer = {"action": "accept", "content": {}}
    identifier = conversation.start_tool(name, arguments)
    if not conversation.stateless:
        conversation.answer(conversation.server_request("elicitation/create"), answer)
        result: JsonObject = conversation.reply(identifier)["result"]
        return result
    asked = conversation.reply(identifier)["result"]
    assert asked["resultType"] == "input_required"
    again = {
        "name": name,
        "arguments": arguments,
        "inputResponses": {"go": answer},
        "requestState": asked["requestState"],
    }
    return conversation.result("tools/call", again)


class TestOthers:
    @pytest.mark.parametrize("kind", ["thread", "async"])
    def test_whatever_a_resource_raises_is_an_internal_error(
        self, conversation: Conversation, log: ErrorLog, kind: str
    ) -> None:
        errors = [conversation.error("resources/read", {"uri": f"failing://{way}/{kind}"}) for way in WAYS]
        assert_protocol_errors(log, errors, "resources/read")

    @pytest.mark.parametrize("name", ["failing_prompt", "failing_prompt_async"])
    def test_whatever_a_prompt_raises_is_an_internal_error(
        self, conversation: Conversation, log: ErrorLog, name: str
    ) -> None:
        errors = [conversation.error("prompts/get", {"name": name, "arguments": {"way": way}}) for way in WAYS]
        assert_protocol_errors(log, errors, "prompts/get")

    @pytest.mark.parametrize("argument", ["way", "second", "third", "fourth"])
    def test_whatever_a_completion_raises_is_an_internal_error(
        self, conversation: Conversation, log: ErrorLog, argument: str
    ) -> None:
        errors = [conversation.error("completion/complete", completion(argument, way)) for way in WAYS]
        assert_protocol_errors(log, errors, "completion/complete")

    @pytest.mark.parametrize("argument", ["third", "fourth"])
    def test_suggestions_without_end_are_cut(self, conversation: Conversation, argument: str) -> None:
        found = conversation.result("completion/complete", completion(argument, "endless"))["completion"]
        assert (len(found["values"]), found["hasMore"]) == (100, True)

    def test_an_error_with_details_that_have_no_json_form_is_answered(self, conversation: Conversation) -> None:
        error = conversation.error("resources/read", {"uri": "refusing://hollow"})
        assert (error["code"], error["message"]) == (-32603, "refused ?")


def completion(argument: str, value: str) -> JsonObject:
    return {
        "ref": {"type": "ref/prompt", "name": "failing_prompt"},
        "argument": {"name": argument, "value": value},
    }


class TestMetrics:
    def test_a_failed_tool_is_told_from_one_that_refuses(self, servers: Services) -> None:
        conversation = servers.shared("http", STATELESS)
        since = conversation.child.log_size()
        conversation.tool("fails_at_once", {"way": "exit"})
        conversation.tool("refuses_with_surrogates")

        def outcomes() -> set[str]:
            lines = [line for line in conversation.child.log_lines(since) if '"event":"call"' in line]
            return {json.loads(line)["outcome"] for line in lines}

        wait_until(lambda: {"tool_internal_error", "tool_error"} <= outcomes(), "both outcomes in the log")
