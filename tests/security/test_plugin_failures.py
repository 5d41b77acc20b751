"""Plugin failures: any failure ends only its own call, with a response, on every transport and in both eras."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.conversations import Conversation, error_of
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, JsonObject
from tests.support.plugins import failing
from tests.support.processes import command, environment
from tests.support.services import TRANSPORTS, Services, services

ERAS = (LATEST_HANDSHAKE, STATELESS)
WAYS = [*failing.WAYS, "recursion", "exit"]
RUNNERS = ["fails_in_a_thread", "fails_at_once", "fails_later", "fails_in_a_task", "fails_in_a_group"]
NO_FAILURES = {
    ("fails_in_a_group", "cancelled"),  # the task group treats that as the end of its task
    ("fails_in_a_task", "generator_exit"),  # Python closes the coroutine that awaits such a task
}
ENDLESS_SECONDS = 20.0
CALL_SECONDS = 1.0
SETTINGS: dict[str, Any] = {
    "mcp": {"plugins": ["tests.support.plugins.failing"]},
    "security": {"anonymous": "all"},
    "logging": {"format": "json"},
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Services]:
    with services(SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def hasty() -> Iterator[Services]:
    with services({**SETTINGS, "mcp": {**SETTINGS["mcp"], "call_timeout_seconds": CALL_SECONDS}}) as running:
        yield running


@pytest.fixture(params=[f"{transport}-{era}" for transport in TRANSPORTS for era in ERAS])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    transport, _, era = request.param.partition("-")
    return transport, era


@pytest.fixture
def conversation(servers: Services, place: tuple[str, str]) -> Conversation:
    return servers.shared(*place)


def assert_internal(conversation: Conversation, result: JsonObject) -> None:
    """Check that a failed result contains only an error id, and that the log has an entry with it."""
    assert result["isError"] is True
    (block,) = result["content"]
    found = re.fullmatch(r"Internal error \(error id ([0-9a-f]{16})\)", block["text"])
    assert found
    assert result["_meta"]["errorId"] == found[1]
    assert "structuredContent" not in result
    assert_logged(conversation, found[1], "tools/call")


def assert_logged(conversation: Conversation, error_id: str, where: str) -> None:
    def entry() -> JsonObject:
        found = [line for line in conversation.child.log_lines() if error_id in line]
        logged: JsonObject = json.loads(found[0]) if found else {}
        return logged

    logged = wait_until(entry, "the error's entry in the log")
    assert logged["where"] == where
    assert 0 < len(logged["exception"]) < 1_000_000


def assert_protocol_error(conversation: Conversation, error: JsonObject, where: str) -> None:
    assert error["code"] == -32603
    assert failing.SECRET not in json.dumps(error)
    assert error["data"]["errorId"] in error["message"]
    assert_logged(conversation, error["data"]["errorId"], where)


class TestTools:
    @pytest.mark.parametrize("way", WAYS)
    def test_whatever_a_tool_raises_is_a_failed_result_with_an_id(self, conversation: Conversation, way: str) -> None:
        for name in RUNNERS:
            if (name, way) not in NO_FAILURES:
                assert_internal(conversation, conversation.tool(name, {"way": way}))
        assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("way", ["system_exit", "cancelled", "mute", "group"])
    def test_arguments_and_results_that_raise_do_the_same(self, conversation: Conversation, way: str) -> None:
        assert_internal(conversation, conversation.tool("fails_in_its_arguments", {"argument": {"value": way}}))
        assert_internal(conversation, conversation.tool("fails_in_its_result", {"way": way}))

    @pytest.mark.parametrize(
        "what", ["coroutine", "generator", "object", "surrogates", "text", "image", "result", "another_shape"]
    )
    def test_what_cannot_be_sent_is_a_failed_result_with_an_id(self, conversation: Conversation, what: str) -> None:
        name, arguments = ("returns_another_shape", {}) if what == "another_shape" else ("returns", {"what": what})
        assert_internal(conversation, conversation.tool(name, arguments))

    def test_an_error_for_the_client_is_shown_as_far_as_json_can(self, conversation: Conversation) -> None:
        result = conversation.tool("refuses_with_surrogates")
        assert result["isError"] is True
        assert result["content"][0]["text"] == "the file ? is missing"

    @pytest.mark.parametrize("waits", [False, True])
    def test_a_tool_that_cancels_its_own_task_is_answered(self, conversation: Conversation, waits: bool) -> None:
        result = conversation.tool("cancels_itself", {"waits": waits})
        if waits:
            assert_internal(conversation, result)
        else:
            assert result["content"][0]["text"] == "went on"
        assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("way", ["system_exit", "keyboard_interrupt", "base_exception", "exception"])
    def test_tasks_and_threads_that_a_tool_leaves_behind_end_nobody(self, conversation: Conversation, way: str) -> None:
        assert conversation.text("starts_a_task", {"way": way}) == "started"
        assert conversation.text("starts_a_thread", {"way": way}) == "started"
        end = time.monotonic() + 0.3  # longer than the abandoned task runs
        while time.monotonic() < end:
            assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("way", ["exit", "keyboard_interrupt", "cancelled", "group", "mute"])
    @pytest.mark.parametrize("name", ["fails_after_asking", "fails_after_asking_in_a_thread"])
    def test_a_failure_after_a_question_is_a_failed_result(
        self, conversation: Conversation, name: str, way: str
    ) -> None:
        assert_internal(conversation, answered(conversation, name, {"way": way}))

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
    @pytest.mark.parametrize("way", WAYS)
    def test_whatever_a_resource_or_prompt_raises_is_an_internal_error(
        self, conversation: Conversation, way: str
    ) -> None:
        for kind in ("thread", "async"):
            error = conversation.error("resources/read", {"uri": f"failing://{way}/{kind}"})
            assert_protocol_error(conversation, error, "resources/read")
        for name in ("failing_prompt", "failing_prompt_async"):
            error = conversation.error("prompts/get", {"name": name, "arguments": {"way": way}})
            assert_protocol_error(conversation, error, "prompts/get")

    @pytest.mark.parametrize("way", WAYS)
    def test_whatever_a_completion_raises_is_an_internal_error(self, conversation: Conversation, way: str) -> None:
        for argument in ("way", "second", "third", "fourth"):
            error = conversation.error("completion/complete", completion(argument, way))
            assert_protocol_error(conversation, error, "completion/complete")

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


class TestStubbornTools:
    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("stubborn", {"kind": "once"}), ("stubborn", {"kind": "always"}), ("stubborn_thread", {})],
        ids=["once", "always", "thread"],
    )
    def test_one_that_goes_on_when_its_time_is_over_is_answered(
        self, hasty: Services, place: tuple[str, str], name: str, arguments: JsonObject
    ) -> None:
        conversation = hasty.shared(*place)
        error = error_of(conversation.reply(conversation.start_tool(name, arguments), ENDLESS_SECONDS))
        assert error["data"]["kind"] == "timeout"
        assert conversation.text("echo", {"message": "still here"}) == "still here"

    @pytest.mark.parametrize("transport", TRANSPORTS)
    @pytest.mark.parametrize("name", ["stubborn", "stubborn_thread"])
    def test_one_that_goes_on_does_not_keep_the_server_from_its_end(self, transport: str, name: str) -> None:
        settings = {**SETTINGS, "server": {"drain_seconds": 1.0}}
        with services(settings) as own, own.fresh(transport, LATEST_HANDSHAKE) as conversation:
            conversation.start_tool(name, {"kind": "always"} if name == "stubborn" else {})
            conversation.text("echo", {"message": "running"})
            conversation.child.process.send_signal(signal.SIGTERM)
            assert conversation.child.wait(ENDLESS_SECONDS) == 0
            with suppress(OSError):
                conversation.close()


class TestMetrics:
    def test_a_failed_tool_is_told_from_one_that_refuses(self, servers: Services) -> None:
        conversation = servers.shared("http", STATELESS)
        conversation.tool("fails_at_once", {"way": "exit"})
        conversation.tool("refuses_with_surrogates")

        def outcomes() -> set[str]:
            lines = [line for line in conversation.child.log_lines() if '"event":"call"' in line]
            return {json.loads(line)["outcome"] for line in lines}

        wait_until(lambda: {"tool_internal_error", "tool_error"} <= outcomes(), "both outcomes in the log")


IMPORTS = [
    'raise SystemExit("secret")',
    "raise KeyboardInterrupt",
    "raise BaseException('odd')",
    "raise BaseExceptionGroup('odd', [SystemExit()])",
    "import sys; sys.exit(7)",
    "import asyncio; raise asyncio.CancelledError",
    "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute",
    "raise RuntimeError('one\\ntwo')",
    "from tfo_mcp.plugins import tool\n@tool(hints=5, icons=7)\ndef f(): pass",
    "from tfo_mcp.plugins import tool\nclass Icons:\n    def __iter__(self): raise SystemExit\n"
    "@tool(icons=Icons())\ndef f(): pass",
    "from tfo_mcp.plugins import prompt\n@prompt(complete=5)\ndef f(a: str) -> str: return a",
]
GOOD = "from tfo_mcp.plugins import tool\n@tool()\ndef fine() -> str:\n    return 'fine'\n"


def configured(place: Path, source: str) -> Path:
    """Write a plugin and a configuration that loads it."""
    (place / "raising.py").write_text(source)
    config = place / "tfo-mcp.yaml"
    config.write_text(json.dumps({"mcp": {"plugins": ["raising"]}}))
    return config


def run(config: Path, line: list[str], variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(), *line, "--config", str(config)],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


class TestImports:
    @pytest.mark.parametrize("source", IMPORTS)
    @pytest.mark.parametrize(
        "line",
        [["validate"], ["list", "tools"], ["call", "echo", "{}"], ["serve", "--transport", "stdio"]],
        ids=" ".join,
    )
    def test_a_module_that_raises_is_one_clear_error(self, tmp_path: Path, source: str, line: list[str]) -> None:
        done = run(configured(tmp_path, source), line)
        assert done.returncode == 2, (done.returncode, done.stderr)
        (message,) = done.stderr.splitlines()
        assert message.startswith("tfo-mcp: Plugin 'raising' cannot be ")

    def test_objects_that_cannot_be_looked_at_are_left_alone(self, tmp_path: Path) -> None:
        source = f"{GOOD}\nclass Odd:\n    def __getattr__(self, name): raise SystemExit\nodd = Odd()\n"
        done = run(configured(tmp_path, source), ["call", "fine", "{}"])
        assert (done.returncode, done.stdout) == (0, "fine\n")

    @pytest.mark.parametrize("source", IMPORTS)
    def test_a_reload_that_raises_changes_nothing_and_says_why(self, tmp_path: Path, source: str) -> None:
        config = configured(tmp_path, GOOD)
        with services(config, {"XDG_STATE_HOME": str(tmp_path)}) as own:
            conversation = own.shared("stdio", LATEST_HANDSHAKE)
            (tmp_path / "raising.py").write_text(source)
            done = run(config, ["reload"], {"XDG_STATE_HOME": str(tmp_path)})
            assert done.returncode == 1, done.stderr
            assert "Plugin 'raising' cannot be " in done.stderr
            assert conversation.text("fine") == "fine"
