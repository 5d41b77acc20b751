"""The stdio transport: standard output, and the end of the process.

Tests of any shared channel run as a conversation; tests of pipes and processes talk to a child process directly.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import FEW, over
from tests.support.conversations import result_of
from tests.support.deadlines import wait_until
from tests.support.envelopes import request, stateless_params
from tests.support.processes import PROJECT, stdio_child
from tests.support.stdio_client import StdioClient
from tests.support.stdio_conversation import StdioConversation

PROMPTLY = 1.0  # seconds in which the process exits
LOADED = 3.0  # extra seconds for a loaded machine
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
Start = Callable[[], AbstractContextManager[StdioClient]]


@pytest.fixture
def start(roots: Path) -> Start:
    """Return a function that starts a separate process and returns its line client."""

    @contextmanager
    def started() -> Iterator[StdioClient]:
        with stdio_child(settings(roots), variables={"PYTHONPATH": str(PROJECT)}) as child:
            yield StdioClient(child)

    return started


def call_tool(client: StdioClient, name: str, **arguments: str | int) -> int | str:
    """Send a stateless tool call and return its id."""
    return client.start("tools/call", stateless_params({"name": name, "arguments": arguments}))


@over(*FEW, transports=("stdio",))
def test_nothing_but_messages_is_on_stdout(conversation: StdioConversation) -> None:
    """R34: prints, library logs, warnings and child processes that inherit stdout all write to stderr."""
    assert conversation.text("soil_stdout") == "soiled"
    assert not conversation.settle()
    assert conversation.alive
    said = ("printed", "written", "from the descriptor", "from a child", "from a shell", "from a logger", "a warning")
    for line in said:
        wait_until(partial(heard, conversation, line), f"{line!r} is on stderr")


def heard(conversation: StdioConversation, line: str) -> bool:
    """Return whether a line is on stderr."""
    return line in conversation.child.stderr()


@over(*FEW, transports=("stdio",))
def test_tools_and_their_children_cannot_read_the_wire(conversation: StdioConversation) -> None:
    """R34."""
    identifier = conversation.start_tool("read_stdin")
    assert conversation.text("echo", {"message": "not for the tool"}) == "not for the tool"
    assert result_of(conversation.reply(identifier))["content"][0]["text"] == "read b'', a child b''"


def test_every_message_is_one_line(start: Start) -> None:
    """R34."""
    with start() as client:
        for text in ("a\nb\r\nc", "\u2028\u2029\x85", "\x0b\x0c"):
            reply = client.call_stateless("tools/call", {"name": "echo", "arguments": {"message": text}})
            assert reply["result"]["content"][0]["text"] == text
        client.close_input()
        client.rest()
        assert len(client.lines) == 3
        assert all(line.endswith(b"\n") for line in client.lines)


def test_the_process_leaves_at_the_end_of_its_input(start: Start) -> None:
    """R35, R40, R68: also while tools run and a subscription is open; no line is half written."""
    with start() as client:
        listening = client.start(
            "subscriptions/listen", stateless_params({"notifications": {"toolsListChanged": True}})
        )
        client.notification(ACKNOWLEDGED)
        for name in ("hold", "hold_thread"):
            call_tool(client, name, key="never opened")
        client.reply(call_tool(client, "story", key="never opened", until="held"))
        answered = call_tool(client, "long_text", length=500_000)
        client.close_input()
        assert client.child.wait(PROMPTLY + LOADED) == 0
        rest = {message.get("id"): message for message in client.rest()}
        assert len(rest[answered]["result"]["content"][0]["text"]) == 500_000
        assert rest[listening]["result"]["_meta"][SUBSCRIPTION] == listening
        assert all(line.endswith(b"\n") for line in client.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_leaves_on_a_signal(start: Start, number: signal.Signals) -> None:
    """R35, R68."""
    with start() as client:
        listening = client.start("subscriptions/listen", stateless_params({"notifications": {}}))
        client.notification(ACKNOWLEDGED)
        call_tool(client, "hold_thread", key="never opened")
        client.reply(call_tool(client, "story", key="never opened", until="held"))
        client.child.process.send_signal(number)
        assert client.child.wait(PROMPTLY + LOADED) == 0
        assert [message["id"] for message in client.rest()] == [listening]
        assert "Traceback" not in client.child.stderr()


def test_the_process_leaves_when_nobody_reads_any_more(roots: Path) -> None:
    """R35."""
    with stdio_child(settings(roots), variables={"PYTHONPATH": str(PROJECT)}) as child:
        assert child.process.stdin is not None
        assert child.process.stdout is not None
        child.process.stdin.write(json.dumps(request(1, "ping")).encode() + b"\n")
        child.process.stdin.flush()
        assert json.loads(child.process.stdout.readline())["id"] == 1
        child.process.stdout.close()
        child.process.stdin.write(json.dumps(request(2, "ping")).encode() + b"\n")
        child.process.stdin.close()
        assert child.wait(PROMPTLY + LOADED) == 0
        assert "Traceback" not in child.stderr()


def test_a_last_line_without_a_newline_is_a_message(start: Start) -> None:
    """R35, R36."""
    with start() as client:
        client.send_bytes(json.dumps(request(1, "ping")).encode())
        client.close_input()
        assert client.reply(1)["result"] == {}
        assert client.child.wait() == 0
