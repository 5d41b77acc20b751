"""Message limits: no message blocks the server, fills its logs or stays in its memory."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, JsonObject, request
from tests.support.hostile_messages import LONG_NUMBERS, LONG_TEXTS, MANY_VALUES, text, tool_call
from tests.support.http_client import http_client
from tests.support.processes import PROJECT, http_server
from tests.support.services import Services, services
from tfo_mcp.presentation.message_limits import (
    BATCH_ANSWER_BYTES,
    BATCH_LIMIT,
    CURSOR_LIMIT,
    ID_LIMIT,
    SUBSCRIPTIONS_CHARACTERS,
    SUBSCRIPTIONS_LIMIT,
    URI_LIMIT,
)

WITH_BATCHES = "2025-03-26"
PLUGINS = [f"tests.support.plugins.{name}" for name in ("held_calls", "reports")]
EVERYWHERE = ("stdio", "unix", "http", "websocket", "sse")
SHARED = ("unix", "http", "websocket", "sse")
AT_ONCE = 32
PING_SECONDS = 1.0
SHOWN = 200
CONTROLS = "\x00\x1b[2J\x7f\x85\x9b\u2028\u2029\u202e\u2066"
TIMER_SECONDS = 0.01
HOSTILE: Mapping[str, Callable[[], bytes]] = {**MANY_VALUES, **LONG_NUMBERS, **LONG_TEXTS}
identifiers = count(1000)


@dataclass
class Delay:
    """How late this process's timers were."""

    longest: float = 0.0
    """Seconds: by so much, a measured time may be longer because the machine was busy."""


@contextmanager
def own_delay() -> Iterator[Delay]:
    """Measure during the block how late a timer of this process is."""
    delay, over = Delay(), threading.Event()

    def wait_again_and_again() -> None:
        began = monotonic()
        while not over.wait(TIMER_SECONDS):
            delay.longest = max(delay.longest, monotonic() - began - TIMER_SECONDS)
            began = monotonic()

    waiting = threading.Thread(target=wait_again_and_again, name="own delay")
    waiting.start()
    try:
        yield delay
    finally:
        over.set()
        waiting.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def serving(place: Path) -> Iterator[Services]:
    (place / "root").mkdir()
    configuration: dict[str, Any] = {
        "mcp": {"plugins": PLUGINS},
        "files": {"roots": [str(place / "root")]},
        "security": {"anonymous": "all", "audit_file": str(place / "audit.jsonl")},
        "logging": {"format": "json"},
    }
    with services(configuration) as running:
        yield running


@pytest.fixture(params=EVERYWHERE)
def conversation(serving: Services, request: pytest.FixtureRequest) -> Conversation:
    return serving.shared(request.param, LATEST_HANDSHAKE)


def answered(conversation: Conversation, frame: bytes, identifier: int | str | None) -> JsonObject:
    """Send a raw frame and return the reply."""
    message = {"id": identifier, "method": "tools/call"} if identifier is not None else None
    conversation.send_frame(frame, message)
    return conversation.reply(identifier)


class TestValues:
    @pytest.mark.parametrize("shape", [*MANY_VALUES, *LONG_NUMBERS])
    def test_a_message_of_too_much_is_refused_with_its_id_and_the_connection_goes_on(
        self, conversation: Conversation, shape: str
    ) -> None:
        identifier = next(identifiers)
        error = answered(conversation, tool_call(identifier, HOSTILE[shape]()), identifier)["error"]
        assert (error["code"], error["data"]["kind"]) == (-32600, "invalid_request")
        assert re.search("More than 10000 values|more than (400|250000) digits", error["message"])
        conversation.result("ping")

    @pytest.mark.parametrize("shape", LONG_TEXTS)
    def test_a_message_that_is_one_long_string_is_served(self, conversation: Conversation, shape: str) -> None:
        identifier = next(identifiers)
        value = LONG_TEXTS[shape]()
        result = answered(conversation, tool_call(identifier, value), identifier)["result"]
        assert result["content"][0]["text"] == json.loads(value)

    @pytest.mark.parametrize("transport", EVERYWHERE)
    def test_so_is_a_batch(self, serving: Services, transport: str) -> None:
        conversation = serving.shared(transport, WITH_BATCHES)
        identifier = next(identifiers)
        frame = b"[" + tool_call(identifier, MANY_VALUES["trees"]()) + b"]"
        assert answered(conversation, frame, None)["error"]["code"] == -32600
        conversation.result("ping")

    def test_a_file_full_of_punctuation_is_written(self, conversation: Conversation, place: Path) -> None:
        content = '[{"a,\\b": "\\"c\\"", 1.5e300}],\n' * 34_000
        written = conversation.tool("write_file", {"path": "punctuation.txt", "content": content})
        assert not written["isError"], written
        assert (place / "root" / "punctuation.txt").read_text() == content

    @pytest.mark.parametrize("transport", SHARED)
    def test_while_one_client_sends_them_all_the_pings_of_another_are_answered(
        self, serving: Services, transport: str
    ) -> None:
        frames = [  # an unknown argument, so that this process has no long responses to parse
            (identifier, tool_call(identifier, shape(), argument=b"unknown"))
            for identifier, shape in zip(identifiers, HOSTILE.values(), strict=False)
        ]

        def send_all() -> None:
            for identifier, frame in frames:
                answered(hostile, frame, identifier)

        with serving.fresh(transport, LATEST_HANDSHAKE) as hostile, serving.fresh(transport, LATEST_HANDSHAKE) as other:
            sending = threading.Thread(target=send_all)
            sending.start()
            slowest = 0.0
            with own_delay() as delay:
                while sending.is_alive():
                    began = monotonic()
                    other.result("ping")
                    slowest = max(slowest, monotonic() - began)
            sending.join()
        assert slowest - delay.longest < PING_SECONDS


class TestTexts:
    """Overlong names from a client are refused, and truncated in responses."""

    def test_a_long_id_is_no_id(self, conversation: Conversation) -> None:
        longest = "i" * ID_LIMIT
        assert conversation.call("ping", id=longest)["id"] == longest
        frame = json.dumps(request(f"{longest}i", "ping")).encode()
        error = answered(conversation, frame, None)["error"]
        assert (error["code"], len(error["message"]) < SHOWN) == (-32600, True)

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("m" * 1_000_000, {}),
            ("tools/call", {"name": "n" * 1_000_000}),
            ("prompts/get", {"name": "n" * 1_000_000}),
            ("tools/call", {"name": "echo", "arguments": {"message": "x", "y" * 1_000_000: 1}}),
            ("tools/call", {"name": "echo", "arguments": {f"{number}": 1 for number in range(5000)}}),
            ("tools/call", {"name": "echo", "arguments": {"message": ["z" * 1_000_000]}}),
            ("tools/call", {"name": "edit_file", "arguments": {"path": "p", "edits": [{"a": 0}] * 4000}}),
            ("prompts/get", {"name": "debug_help", "arguments": {"a" * 1_000_000: 1}}),
            ("logging/setLevel", {"level": "l" * 1_000_000}),
            (
                "completion/complete",
                {"ref": {"type": "ref/prompt", "name": "p" * 8000}, "argument": {"name": "a", "value": ""}},
            ),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_no_answer_repeats_a_long_one(
        self, conversation: Conversation, method: str, params: Mapping[str, Any]
    ) -> None:
        reply = conversation.call(method, params)
        assert "error" in reply or reply["result"]["isError"]
        assert len(json.dumps(reply)) < 4000

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("resources/read", {"uri": "file:///" + "u" * URI_LIMIT}),
            ("resources/subscribe", {"uri": "file:///" + "u" * URI_LIMIT}),
            ("resources/unsubscribe", {"uri": "file:///" + "u" * URI_LIMIT}),
            ("tools/list", {"cursor": "c" * (CURSOR_LIMIT + 1)}),
            ("prompts/list", {"cursor": "c" * (CURSOR_LIMIT + 1)}),
            ("resources/list", {"cursor": "c" * (CURSOR_LIMIT + 1)}),
            ("tools/call", {"name": "echo", "_meta": {"progressToken": "t" * (ID_LIMIT + 1)}}),
            (
                "completion/complete",
                {
                    "ref": {"type": "ref/prompt", "name": "debug_help"},
                    "argument": {"name": "language", "value": "v" * (URI_LIMIT + 1)},
                },
            ),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_what_would_be_kept_or_searched_with_has_a_limit(
        self, conversation: Conversation, method: str, params: Mapping[str, Any]
    ) -> None:
        error = conversation.error(method, params)
        assert error["code"] == -32602
        assert "at most" in error["message"]
        assert len(error["message"]) < SHOWN

    @pytest.mark.parametrize(
        "uris",
        [
            [f"file:///{number}" for number in range(SUBSCRIPTIONS_LIMIT + 1)],
            ["file:///" + "u" * URI_LIMIT],
            ["file:///" + "u" * 8000 + str(number) for number in range(SUBSCRIPTIONS_CHARACTERS // 8000 + 1)],
        ],
        ids=["many", "long", "much"],
    )
    @pytest.mark.parametrize("transport", EVERYWHERE)
    def test_a_subscription_names_so_much_and_no_more(self, serving: Services, transport: str, uris: list[str]) -> None:
        error = serving.shared(transport, STATELESS).error(
            "subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}}
        )
        assert error["code"] == -32602
        assert "at most" in error["message"]


class TestBatches:
    def batch(self, size: int, method: str, params: Mapping[str, Any] | None = None) -> list[JsonObject]:
        return [request(next(identifiers), method, params) for _ in range(size)]

    @pytest.mark.parametrize("transport", EVERYWHERE)
    def test_one_of_more_than_a_hundred_is_refused_as_a_whole(self, serving: Services, transport: str) -> None:
        conversation = serving.shared(transport, WITH_BATCHES)
        full = self.batch(BATCH_LIMIT, "ping")
        conversation.send(full)
        for message in full:
            assert conversation.reply(message["id"])["result"] == {}
        conversation.send(self.batch(BATCH_LIMIT + 1, "ping"))
        assert conversation.reply(None)["error"]["code"] == -32600
        conversation.result("ping")
        assert not [message for message in conversation.waiting() if "result" in message]

    @pytest.mark.parametrize("transport", EVERYWHERE)
    def test_its_answers_have_a_limit_together(self, serving: Services, transport: str) -> None:
        conversation = serving.shared(transport, WITH_BATCHES)
        batch = self.batch(BATCH_LIMIT, "tools/call", {"name": "long_text", "arguments": {"length": 1_000_000}})
        conversation.send(batch)
        replies = [conversation.reply(message["id"]) for message in batch]
        refused = [reply["error"] for reply in replies if "error" in reply]
        assert {(error["code"], error["data"]["kind"]) for error in refused} == {(-32600, "too_large")}
        assert 0 < BATCH_LIMIT - len(refused) <= BATCH_ANSWER_BYTES // 1_000_000

    @pytest.mark.parametrize("transport", SHARED)
    def test_its_members_take_turns(self, serving: Services, transport: str) -> None:
        conversation, other = (serving.shared(transport, revision) for revision in (WITH_BATCHES, LATEST_HANDSHAKE))
        held = self.batch(AT_ONCE, "tools/call", {"name": "hold", "arguments": {"key": f"a batch over {transport}"}})
        waiting = self.batch(2, "tools/call", {"name": "echo", "arguments": {"message": "waited"}})
        with self.cancelled_in_the_end(conversation, held[1:]):
            before = executed(other)
            conversation.send([*held, *waiting])
            for _ in range(20):
                conversation.result("ping")
            assert executed(other) == before
            conversation.notify("notifications/cancelled", {"requestId": held[0]["id"]})
            wait_until(lambda: executed(other) == before + 2, "the next ones have had their turn")
        for message in waiting:
            assert conversation.reply(message["id"])["result"]["content"][0]["text"] == "waited"

    @contextmanager
    def cancelled_in_the_end(self, conversation: Conversation, calls: list[JsonObject]) -> Iterator[None]:
        try:
            yield
        finally:
            for call in calls:
                conversation.notify("notifications/cancelled", {"requestId": call["id"]})


def executed(conversation: Conversation) -> int:
    """Return the number of tool calls that the process has executed."""
    contents = conversation.result("resources/read", {"uri": "status://health"})["contents"]
    return int(json.loads(contents[0]["text"])["calls"])


class TestMemory:
    """The server does not keep what a client says about itself."""

    SESSIONS = 120
    MOST_BYTES = SESSIONS * 200 * 1024  # the number of message buffers that the allocator keeps varies

    def introduction(self) -> bytes:
        letters = text(b"x")[:1_200_000] + b'"'
        capabilities = b'{"experimental":{"x":{"y":%b}},"elicitation":{"form":{"z":%b}},"sampling":{}}' % (
            letters,
            letters,
        )
        client = b'{"name":%b,"version":"1"}' % letters
        params = b'{"protocolVersion":"2025-11-25","capabilities":%b,"clientInfo":%b}' % (capabilities, client)
        return b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":%b}' % params

    def test_a_session_costs_little_whatever_its_client_declares(self) -> None:
        with http_server({"logging": {"level": "error"}}) as server, http_client(server.url) as client:
            introduction = self.introduction()

            def open_sessions(number: int) -> None:
                for _ in range(number):
                    assert client.post(introduction).status == 200

            open_sessions(10)  # afterwards the buffers for one message are allocated
            before = resident_bytes(server.child.pid)
            open_sessions(self.SESSIONS)
            assert server.sessions() >= self.SESSIONS
            assert resident_bytes(server.child.pid) - before < self.MOST_BYTES


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class TestRecords:
    """Names in the log and in the audit log are short and contain no terminal control characters."""

    NAME = f"forged{CONTROLS}\n" + "n" * 1_000_000

    @pytest.mark.parametrize("transport", EVERYWHERE)
    def test_a_name_is_cut_and_escaped_in_both(self, serving: Services, place: Path, transport: str) -> None:
        arguments = {f"argument {number} {CONTROLS}" + "a" * 300: 1 for number in range(500)}
        conversation = serving.shared(transport, LATEST_HANDSHAKE)
        earlier = len(audit_lines(place))
        assert "error" in conversation.call("tools/call", {"name": self.NAME, "arguments": arguments})
        audited = wait_until(lambda: audit_lines(place)[earlier:], "the refusal is audited")
        logged = wait_until(
            lambda: [line for line in conversation.child.log_lines() if "forged" in line], "it is logged"
        )
        assert_plain(audited[-1])
        assert_plain(logged[-1])
        entry = json.loads(audited[-1])
        assert entry["name"].startswith("forged\\u0000\\u001b")
        assert len(entry["arguments"]) == 64
        assert len(audited[-1]) < 64 * 1024
        assert len(logged[-1]) < 2000

    def test_so_it_is_on_the_console(self, tmp_path: Path) -> None:
        configuration: dict[str, Any] = {"logging": {"format": "console"}, "mcp": {"plugins": PLUGINS}}
        with services(configuration, {"PYTHONPATH": str(PROJECT)}) as running:
            conversation = running.shared("http", LATEST_HANDSHAKE)
            assert "error" in conversation.call("tools/call", {"name": self.NAME})
            lines = wait_until(
                lambda: [line for line in conversation.child.log_lines() if "forged" in line], "it is logged"
            )
        assert_plain(lines[0])
        assert "n" * 50 in lines[0]


def audit_lines(place: Path) -> list[str]:
    """Return the raw lines of the audit log so far."""
    log = place / "audit.jsonl"
    return log.read_text().split("\n")[:-1] if log.exists() else []


def assert_plain(line: str) -> None:
    """Check that a line contains printable characters only."""
    assert line.isprintable(), line[:500]
    assert "n" * (SHOWN + 1) not in line
