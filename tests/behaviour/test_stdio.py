"""Part D of the checklist: standard input and output as a wire, and the end of a process.

What any shared channel shows is run as a conversation; what belongs to pipes and processes talks to a child directly.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.behaviour.conftest import LINE_LIMIT, OpenFresh, settings
from tests.behaviour.matrix import FEW, REVISIONS, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, request, stateless_params
from tests.support.processes import PROJECT, stdio_child
from tests.support.stdio_client import StdioClient
from tests.support.stdio_conversation import StdioConversation

PROMPTLY = 1.0  # seconds: the issue's own limit for leaving
LOADED = 3.0  # seconds granted on top of it on a loaded machine
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
Start = Callable[[], AbstractContextManager[StdioClient]]


@pytest.fixture
def start(roots: Path) -> Start:
    """Start a process of its own and talk to it in lines."""

    @contextmanager
    def started() -> Iterator[StdioClient]:
        with stdio_child(settings(roots), variables={"PYTHONPATH": str(PROJECT)}) as child:
            yield StdioClient(child)

    return started


def call_tool(client: StdioClient, name: str, **arguments: str | int) -> int | str:
    """Send a stateless call of a tool and return its id."""
    return client.start("tools/call", stateless_params({"name": name, "arguments": arguments}))


@over(*FEW, transports=("stdio",))
def test_nothing_but_messages_is_on_stdout(conversation: StdioConversation) -> None:
    """Checklist 34: a print, a library's log, a warning, a child process that inherits stdout."""
    assert conversation.text("soil_stdout") == "soiled"
    assert not conversation.settle()
    assert conversation.alive
    said = ("printed", "written", "from the descriptor", "from a child", "from a shell", "from a library", "a warning")
    for line in said:
        wait_until(partial(heard, conversation, line), f"{line!r} is on stderr")


def heard(conversation: StdioConversation, line: str) -> bool:
    """Tell whether a line is on stderr."""
    return line in conversation.child.stderr()


@over(*FEW, transports=("stdio",))
def test_tools_and_their_children_cannot_read_the_wire(conversation: StdioConversation) -> None:
    """Checklist 34."""
    identifier = conversation.start_tool("read_stdin")
    assert conversation.text("echo", {"message": "not for the tool"}) == "not for the tool"
    assert result_of(conversation.reply(identifier))["content"][0]["text"] == "read b'', a child b''"


def test_every_message_is_one_line(start: Start) -> None:
    """Checklist 34."""
    with start() as client:
        for text in ("a\nb\r\nc", "\u2028\u2029\x85", "\x0b\x0c"):
            reply = client.call_stateless("tools/call", {"name": "echo", "arguments": {"message": text}})
            assert reply["result"]["content"][0]["text"] == text
        client.close_input()
        client.rest()
        assert len(client.lines) == 3
        assert all(line.endswith(b"\n") for line in client.lines)


def test_the_process_leaves_at_the_end_of_its_input(start: Start) -> None:
    """Checklist 35, 40, 68: also while tools run and a subscription is open; nothing is half written."""
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
    """Checklist 35, 68."""
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
    """Checklist 35."""
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
    """Checklist 35, 36."""
    with start() as client:
        client.send_bytes(json.dumps(request(1, "ping")).encode())
        client.close_input()
        assert client.reply(1)["result"] == {}
        assert client.child.wait() == 0


@over(*REVISIONS, transports=("stdio",))
def test_blank_lines_and_carriage_returns_do_no_harm(conversation: Conversation) -> None:
    """Checklist 36."""
    message = request("framed", "tools/list", conversation.envelope({}))
    for before, after in ((b"", b"\r"), (b"\n\n", b""), (b" \n\t\n\r\n", b"\r\n"), (b"  ", b"  ")):
        conversation.send_frame(before + json.dumps(message).encode() + after)
        result_of(conversation.reply("framed"))
        assert not conversation.settle()


@over(*FEW)
@pytest.mark.parametrize("length", [70_000, 1_500_000])
def test_long_messages_pass_both_ways(conversation: Conversation, length: int) -> None:
    """Checklist 36."""
    text = "äb cd ef " * (length // 9)
    assert conversation.text("echo", {"message": text}) == text


@over(*REVISIONS, transports=("stdio",))
def test_a_line_that_is_too_long_gets_an_error_and_the_next_line_is_served(conversation: Conversation) -> None:
    """Checklist 36, 47."""
    message = request("long", "tools/call", {"name": "echo", "arguments": {"message": "x" * LINE_LIMIT}})
    conversation.send(message)
    error = error_of(conversation.message())
    assert error["code"] == -32600
    assert str(LINE_LIMIT) in error["message"]
    assert not conversation.settle()


@over(*REVISIONS, transports=("stdio",))
def test_lines_may_come_in_pieces_and_together(conversation: StdioConversation) -> None:
    """Checklist 36."""
    stdin = conversation.child.process.stdin
    assert stdin is not None
    lines = [json.dumps(request(f"p{number}", "tools/list", conversation.envelope({}))).encode() for number in range(3)]
    whole = b"\n".join(lines) + b"\n"
    for part in (whole[:5], whole[5:200], whole[200:]):
        stdin.write(part)
        stdin.flush()
    for number in range(3):
        result_of(conversation.reply(f"p{number}"))


@over(*REVISIONS)
def test_requests_are_served_concurrently_and_answered_when_done(conversation: Conversation, key: str) -> None:
    """Checklist 37."""
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
    """Checklist 37."""
    expected = {conversation.start_tool("echo", {"message": str(number)}): str(number) for number in range(200)}
    for identifier, text in expected.items():
        assert result_of(conversation.reply(identifier))["content"][0]["text"] == text


@over(STATELESS)
def test_the_server_sends_no_requests_in_the_stateless_era(conversation: Conversation) -> None:
    """Checklist 38, 62."""
    for name in ("ask_name", "ask_model", "ask_roots", "ask_visit", "ask_all", "report_and_ask"):
        assert conversation.tool(name)["resultType"] == "input_required"
    assert not conversation.settle()


@over(*REVISIONS, transports=("stdio",))
def test_responses_that_nobody_waits_for_are_ignored(conversation: Conversation) -> None:
    """Checklist 38."""
    conversation.send({"jsonrpc": "2.0", "id": 1, "result": {}})
    conversation.send({"jsonrpc": "2.0", "id": "no-such", "error": {"code": 1, "message": "no"}})
    conversation.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}})
    assert not conversation.settle()


@over(*REVISIONS)
def test_nothing_is_sent_for_a_request_after_it_was_cancelled(conversation: Conversation, key: str) -> None:
    """Checklist 39, 75: neither its answer nor its progress nor its logs."""
    options = {} if not conversation.stateless else {"log_level": "debug"}
    running = conversation.start_tool("hold_thread", {"key": key}, meta={"progressToken": "late"}, **options)
    conversation.text("story", {"key": key, "until": "held"})
    conversation.cancel(running)
    conversation.text("story", {"key": key, "until": "noticed"})
    conversation.text("open_gate", {"key": key})
    conversation.text("story", {"key": key, "until": "finished"})
    assert not conversation.settle()


@over(LATEST_HANDSHAKE, transports=("stdio",))
def test_both_eras_and_their_subscriptions_share_one_pipe(open_fresh: OpenFresh) -> None:
    """Checklist 32, 40."""
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
