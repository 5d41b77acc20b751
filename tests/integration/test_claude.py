"""Claude through the real Anthropic SDK and real sockets, against a local server that speaks the Messages API."""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSStream

from tests.support.messages_api import Fault as MessageFault
from tests.support.messages_api import MessagesApi, messages_api
from tests.support.messages_format import encoded, events_of, message_body, model_info
from tests.support.nginx import self_signed
from tfo_mcp.application.ports import ModelRequest, ToolOffer
from tfo_mcp.domain.content import Image, Role, Text
from tfo_mcp.domain.conversation import ModelSettings
from tfo_mcp.domain.dialogue import ConversationMessage, RedactedThinking, Thinking, ToolAnswer, ToolUse
from tfo_mcp.domain.errors import NotConfigured, OperationFailed
from tfo_mcp.domain.ids import new_message_id
from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.infrastructure.claude import Claude, ClaudeOptions, Price, Provider
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry

KEY = "sk-ant-test-0123456789"
MODEL = "claude-sonnet-5-5"
PATIENCE = 10.0
SHORT = 0.3  # seconds
WHOLE = {"content": ("Whole",), "stop_reason": "end_turn"}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
START = next(iter(events_of(message_body(1, {"model": MODEL, "messages": [{"content": "a"}]}, WHOLE))))
MARK = {"type": "ephemeral"}
SOON = 3.0  # seconds in which a refusal arrives on a loaded machine


def LATER(seconds: float) -> str:  # noqa: N802 - read like a constant in the tables
    """Return a date that is this long after the collection of the tests."""
    return formatdate(time() + seconds, usegmt=True)


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with messages_api(KEY) as server:
        yield server


@asynccontextmanager
async def connected(url: str, **changes: Any) -> AsyncIterator[Claude]:
    key = changes.pop("api_key", KEY)
    settings: dict[str, Any] = {"model": MODEL, "timeout_seconds": PATIENCE}
    claude = Claude(Provider(api_key=key, base_url=url), ClaudeOptions(**settings | changes), NoTelemetry())
    try:
        yield claude
    finally:
        await claude.aclose()


def secured(url: str) -> AbstractAsyncContextManager[Claude]:
    """Connect by TLS to a server of this machine."""
    return connected(url.replace("http:", "https:"), max_retries=0)


def said(*texts: str, **options: Any) -> ModelRequest:
    """Return a conversation of alternating turns that begins with the user."""
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = [
        ConversationMessage(new_message_id(), roles[number % 2], (Text(text),)) for number, text in enumerate(texts)
    ]
    settings: dict[str, Any] = {"model": MODEL, "max_tokens": 1024}
    return ModelRequest(turns, ModelSettings(**settings | options))


@asynccontextmanager
async def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Yield the URL of a server that sends these bytes on each connection and closes it."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                opened = stream if tls is None else await TLSStream.wrap(stream, ssl_context=tls)
                await opened.receive()
                await opened.send(answer)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()


class TestReplies:
    async def test_the_last_turn_is_answered_with_text_model_and_cost(self, api: MessagesApi) -> None:
        api.answer("Hello ", "there", stop_reason="max_tokens")
        async with connected(api.url) as claude:
            reply = await claude.reply(said("Hi", "Yes?", "Say hello to me"))
        assert (reply.text, reply.model, reply.stop_reason) == ("Hello there", MODEL, "max_tokens")
        assert (reply.usage.input, reply.usage.output) == (4, 2)
        assert api.requests[0].body == {
            "model": MODEL,
            "max_tokens": 1024,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
                {"role": "user", "content": [{"type": "text", "text": "Say hello to me", "cache_control": MARK}]},
            ],
            "stream": True,
        }

    async def test_what_a_request_names_comes_before_what_is_configured(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude:
            await claude.reply(said("Hi", model="claude-other", max_tokens=5, system_prompt="Be brief"))
        body = api.requests[0].body
        assert (body["model"], body["max_tokens"]) == ("claude-other", 5)
        assert body["system"] == [{"type": "text", "text": "Be brief", "cache_control": MARK}]

    async def test_a_temperature_goes_with_the_last_version_of_the_api_that_takes_one(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude:
            await claude.reply(said("Hi"))
            await claude.reply(said("Hi", temperature=0))
        without, with_temperature = api.requests
        assert "temperature" not in without.body
        assert without.headers["anthropic-version"] != "2023-06-01"
        assert with_temperature.body["temperature"] == 0
        assert with_temperature.headers["anthropic-version"] == "2023-06-01"

    @pytest.mark.parametrize("max_tokens", [1, 21_334, 64_000, 1_000_000])
    @pytest.mark.parametrize("timeout", [600.0, 3600.0])
    async def test_a_request_is_sent_however_many_tokens_it_may_take(
        self, api: MessagesApi, max_tokens: int, timeout: float
    ) -> None:
        async with connected(api.url, timeout_seconds=timeout) as claude:
            asked = said("Hi", max_tokens=max_tokens)
            assert (await claude.reply(asked)).text == "You said: Hi"

    @pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain"])
    async def test_a_server_may_answer_with_a_whole_message(self, kind: str) -> None:
        body = json.dumps(message_body(1, {"model": MODEL, "messages": [{"content": "a"}]}, WHOLE)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        async with answering(head.encode() + body) as url, connected(url) as claude:
            reply = await claude.reply(said("Hi"))
        assert (reply.text, reply.stop_reason, reply.usage.output) == ("Whole", "end_turn", 1)

    async def test_conversations_at_the_same_time_share_one_client(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude, anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(claude.reply, said(f"Hello {number}"))
        assert len(api.requests) == 5

    def test_the_sdk_is_imported_only_when_it_is_needed(self) -> None:
        program = "import sys, tfo_mcp.infrastructure.claude; sys.exit('anthropic' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class TestBlocks:
    async def test_thinking_and_tool_uses_come_back_as_blocks_and_are_sent_again(self, api: MessagesApi) -> None:
        thinking = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
        redacted = {"type": "redacted_thinking", "data": "opaque"}
        use = {"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "a b", "lines": [1, 2]}}
        api.answer(thinking, redacted, "Wait.", use, stop_reason="tool_use")
        async with connected(api.url) as claude:
            reply = await claude.reply(said("Hi", max_tokens=4000, thinking_tokens=2000))
            asked, answer = ToolUse("t1", "read_file", use["input"]), ToolAnswer("t1", (Image(b"x", "image/png"),))  # type: ignore[arg-type]
            assert reply.content == (Thinking("Hm.", "sig"), RedactedThinking("opaque"), Text("Wait."), asked)
            first = said("Hi").messages[0]
            turns = [first, replace(first, role="assistant", content=reply.content), replace(first, content=(answer,))]
            await claude.reply(ModelRequest(turns, ModelSettings(MODEL, 100), [ToolOffer("read_file", "Reads", {})]))
        body = api.requests[1].body
        assert api.requests[0].body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
        assert body["messages"][1]["content"] == [thinking, redacted, {"type": "text", "text": "Wait."}, use]
        (result,) = body["messages"][2]["content"]
        assert result["content"][0]["source"] == {"type": "base64", "media_type": "image/png", "data": "eA=="}
        assert body["tools"] == [
            {"name": "read_file", "description": "Reads", "input_schema": {}, "cache_control": MARK}
        ]

    @pytest.mark.parametrize("raw", ["{nonsense", "[1]", '"text"', "null"])
    async def test_arguments_that_are_no_object_are_no_tool_use(self, api: MessagesApi, raw: str) -> None:
        use = {"type": "tool_use", "id": "t1", "name": "read_file", "raw_input": raw}
        api.answer(use, stop_reason="tool_use")
        api.answer("Cut", use, stop_reason="max_tokens")
        async with connected(api.url) as claude:
            with pytest.raises(OperationFailed, match="invalid message"):
                await claude.reply(said("Hi"))
            assert (await claude.reply(said("Hi"))).content == (Text("Cut"),)

    async def test_tokens_of_the_cache_are_counted_and_priced(self, api: MessagesApi) -> None:
        counts = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300}
        prices = {MODEL: Price(1.0, 10.0, 0.5, 2.0)}
        async with connected(api.url, prices=prices, caches_prompts=False) as claude:
            api.answer("Two words", usage=counts)
            usage = (await claude.reply(said("Hi"))).usage
            assert replace(usage, cost=None) == TokenUsage(1, 2, 20, 300, None)
            assert usage.cost == pytest.approx((1 + 20 + 10 + 600) / 1_000_000)
            unknown = (await claude.reply(said("Hi", model="claude-other"))).usage
        assert unknown.cost is None
        assert "cache_control" not in str(api.requests[0].body)

    async def test_text_is_passed_on_while_it_arrives(self, api: MessagesApi) -> None:
        pieces: list[str] = []

        async def hear(text: str) -> None:
            pieces.append(text)

        api.answer("Hello there")
        async with connected(api.url) as claude:
            await claude.reply(said("Hi"), hear)
        assert pieces == ["Hel", "lo there"]

    async def test_after_failures_in_a_row_requests_fail_at_once(self, api: MessagesApi) -> None:
        async with connected(api.url, max_retries=0) as claude:
            for _ in range(5):
                api.fail(529)
                with pytest.raises(OperationFailed, match="overloaded"):
                    await claude.reply(said("Hi"))
            with pytest.raises(OperationFailed, match="failed several times in a row"):
                await claude.reply(said("Hi"))
        assert len(api.requests) == 5

    async def test_a_reply_that_takes_too_long_is_told_from_one_that_never_began(self, api: MessagesApi) -> None:
        fault = MessageFault("pause", 3)
        api.answer("Too long a reply", fault=fault)
        async with connected(api.url, timeout_seconds=SHORT) as claude:
            with pytest.raises(
                OperationFailed, match=r"not finished its reply of up to 1024 tokens within 0\.3 seconds"
            ):
                await claude.reply(said("Hi"))
        fault.until.set()


class TestConfiguration:
    @pytest.mark.parametrize("kind", ["bedrock", "vertex"])
    async def test_a_provider_whose_package_is_missing_is_named(
        self, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, {"bedrock": "botocore", "vertex": "google.auth"}[kind], None)
        claude = Claude(Provider(kind, region="eu-1"), ClaudeOptions(MODEL), NoTelemetry())
        with pytest.raises(NotConfigured, match=rf"needs the package's extra: pip install 'tfo-mcp\[{kind}\]'"):
            await claude.reply(said("Hi"))

    @pytest.mark.parametrize("key", [None, "", "  \n"])
    async def test_without_a_key_the_error_says_what_to_configure(
        self, api: MessagesApi, key: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)  # only the constructor configures the key
        async with connected(api.url, api_key=key) as claude:
            with pytest.raises(NotConfigured, match=r"ANTHROPIC_API_KEY .*claude\.api_key"):
                await claude.reply(said("Hi"))
        assert api.requests == []

    async def test_white_space_around_a_key_does_no_harm(self, api: MessagesApi) -> None:
        async with connected(api.url, api_key=f" {KEY}\n") as claude:
            assert (await claude.reply(said("Hi"))).text == "You said: Hi"

    @pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
    async def test_a_key_that_cannot_be_one_is_not_shown(self, api: MessagesApi, key: str) -> None:
        async with connected(api.url, api_key=key) as claude:
            with pytest.raises(NotConfigured, match="ANTHROPIC_API_KEY") as refused:
                await claude.reply(said("Hi"))
        assert key not in refused.value.message

    async def test_a_key_that_the_api_does_not_know_is_named_by_its_settings(self, api: MessagesApi) -> None:
        async with connected(api.url, api_key="wrong-key") as claude:
            with pytest.raises(
                OperationFailed, match=r"API key: check ANTHROPIC_API_KEY .*claude\.api_key$"
            ) as refused:
                await claude.reply(said("Hi"))
        assert "wrong-key" not in refused.value.message
        assert len(api.requests) == 1


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "said_by_api", "expected"),
        [
            (
                400,
                "temperature is deprecated for this model",
                "refuses the request: temperature is deprecated for this",
            ),
            (402, "no credit", "requires payment: check the billing"),
            (403, "not for you", "refuses the request: not for you"),
            (404, "model: nonsense", "refuses the request: model: nonsense"),
            (413, "too big", "rejects the message as too large: shorten it"),
            (400, f"bad {KEY} here", r"refuses the request: bad \*\*\* here$"),
            (400, "x" * 10_000, "refuses the request: x{500}$"),
            (500, "stack trace", "failed with HTTP 500: try again later$"),
            (529, "overloaded", "is overloaded: try again later$"),
        ],
    )
    async def test_what_the_api_refuses_is_said_in_plain_words(
        self, api: MessagesApi, status: int, said_by_api: str, expected: str
    ) -> None:
        api.fail(status, said_by_api)
        async with connected(api.url, max_retries=0) as claude:
            with pytest.raises(OperationFailed, match=f"^The Claude API {expected}") as refused:
                await claude.reply(said("Hi"))
        assert KEY not in refused.value.message

    @pytest.mark.parametrize(
        ("models", "hint"),
        [
            (["claude-new-1", "claude-old-1-20260101"], "Known models: claude-new-1, claude-old-1-20260101"),
            ([MODEL], ""),
            (None, ""),
        ],
    )
    async def test_a_default_model_that_does_not_exist_is_reported_with_those_that_do(
        self, api: MessagesApi, models: list[str] | None, hint: str
    ) -> None:
        api.models = None if models is None else [model_info(name) for name in models]
        api.fail(404, f"model: {MODEL}")
        async with connected(api.url, max_retries=0) as claude:
            with pytest.raises(OperationFailed, match=f"refuses the request: model: {MODEL}") as refused:
                await claude.reply(said("Hi"))
        assert hint in refused.value.message
        assert ("Known models" in refused.value.message) == bool(hint)

    async def test_a_failure_that_may_pass_is_tried_again(self, api: MessagesApi) -> None:
        api.fail(529, retry_after=0.01)
        api.fail(500, retry_after=0.01)
        api.answer("At last")
        async with connected(api.url) as claude:
            assert (await claude.reply(said("Hi"))).text == "At last"
        assert len(api.requests) == 3

    @pytest.mark.parametrize(
        "wait", [{"retry_after": 0.2}, {"retry_after_ms": "200"}, {"retry_after": LATER(1)}, {"retry_after": LATER(-9)}]
    )
    async def test_a_wait_within_the_time_limit_is_waited_for(self, api: MessagesApi, wait: dict[str, Any]) -> None:
        api.fail(429, **wait)
        async with connected(api.url) as claude:
            assert (await claude.reply(said("Hi"))).text == "You said: Hi"

    @pytest.mark.parametrize(
        ("wait", "words"),
        [
            ({"retry_after": "Wed, 21 Oct 2065 07:28:00 GMT"}, r"in \d{8,} seconds"),
            ({"retry_after": "Wednesday, 21-Oct-65 07:28:00 GMT"}, r"in \d{8,} seconds"),
            ({"retry_after": "Wed Oct 21 07:28:00 2065"}, r"in \d{8,} seconds"),
            ({"retry_after": LATER(6000)}, r"in 5\d{3} seconds"),
            ({"retry_after": "Wed, 99 Oct 2065 07:28:00 GMT"}, r"in \d{8,} seconds"),
            ({"retry_after_ms": "61500"}, "in 62 seconds"),
            ({"retry_after_ms": "61500", "retry_after": "0"}, "in 62 seconds"),
            ({"retry_after_ms": "soon", "retry_after": "90"}, "in 90 seconds"),
            ({"retry_after": "1e400"}, "later"),
            ({"retry_after": "3000000000"}, "in 3000000000 seconds"),
            ({"retry_after": "1e308"}, "later"),
            ({"retry_after_ms": "9" * 300}, "later"),
        ],
    )
    async def test_every_form_of_a_wait_beyond_the_time_limit_is_reported_at_once(
        self, api: MessagesApi, wait: dict[str, Any], words: str
    ) -> None:
        api.fail(429, **wait)
        async with connected(api.url) as claude:
            with (
                anyio.fail_after(SOON),
                pytest.raises(OperationFailed, match=f"limits the rate .*: try again {words}$"),
            ):
                await claude.reply(said("Hi"))
        assert len(api.requests) == 1

    @pytest.mark.parametrize("wait", ["nonsense", "-5", "nan", "", "Wed, 21 Foo 2065 07:28:00 GMT"])
    async def test_a_wait_that_cannot_be_read_is_no_wait(self, api: MessagesApi, wait: str) -> None:
        for _ in range(2):
            api.fail(429, retry_after=wait)
        async with connected(api.url, max_retries=1) as claude:
            with pytest.raises(OperationFailed, match=r"limits the rate of requests: try again later$"):
                await claude.reply(said("Hi"))
        assert len(api.requests) == 2

    async def test_the_reason_of_the_last_attempt_is_reported_when_the_time_is_over(self, api: MessagesApi) -> None:
        for _ in range(9):
            api.fail(429)
        async with connected(api.url, timeout_seconds=1.0, max_retries=9) as claude:
            with pytest.raises(OperationFailed, match=r"limits the rate of requests: try again later$"):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize(("status", "words"), [(429, "limits the rate of requests"), (529, "is overloaded")])
    async def test_a_wait_beyond_the_time_limit_is_told_and_not_waited_for(
        self, api: MessagesApi, status: int, words: str
    ) -> None:
        api.fail(status, retry_after=3600)
        async with connected(api.url) as claude:
            with anyio.fail_after(SOON), pytest.raises(OperationFailed, match=f"{words}: try again in 3600 seconds$"):
                await claude.reply(said("Hi"))
        assert len(api.requests) == 1

    async def test_an_answer_that_does_not_come_in_time_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with connected(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=SHORT) as claude:
                with (
                    anyio.fail_after(SOON + SHORT),
                    pytest.raises(
                        OperationFailed, match=r"not answered within 0\.3 seconds \(claude\.timeout_seconds\)"
                    ),
                ):
                    await claude.reply(said("Hi"))

    async def test_a_server_that_cannot_be_reached_is_said_to_be(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        async with connected(f"http://127.0.0.1:{port}", max_retries=0) as claude:
            with pytest.raises(
                OperationFailed,
                match=r"refuses the connection, and cannot be reached: check the network .*claude\.base_url$",
            ) as gone:
                await claude.reply(said("Hi"))
        assert str(port) not in gone.value.message

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("text/html", "<h1>Welcome</h1>"),
            ("application/json", "{}"),
            ("application/json", "[]"),
            ("application/json", "nonsense"),
            ("application/json", '{"content": "text", "usage": null}'),
            ("application/json", '{"content": ["text", null, {"type": "text"}], "model": 1}'),
        ],
    )
    async def test_an_answer_that_is_no_message_is_not_understood(self, kind: str, body: str) -> None:
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        )
        async with answering(answer.encode()) as url, connected(url, max_retries=0) as claude:
            with pytest.raises(
                OperationFailed, match=r"returned an invalid message: check the setting claude\.base_url"
            ):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("overloaded_error", "is overloaded: try again later"),
            ("rate_limit_error", "limits the rate of requests: try again later"),
            ("authentication_error", "does not accept the API key"),
            ("invalid_request_error", "refuses the request: in the stream"),
            ("unheard_of", "failed with HTTP 500"),
        ],
    )
    async def test_an_error_within_a_stream_is_reported_by_its_type(self, kind: str, expected: str) -> None:
        events = [START, {"type": "error", "error": {"type": kind, "message": "in the stream"}}]
        async with answering(STREAM + encoded(events)) as url, connected(url, max_retries=0) as claude:
            with pytest.raises(OperationFailed, match=expected):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (STREAM, "invalid message"),
            (STREAM + b"event: message_start\ndata: {nonsense\n\n", "invalid message"),
            (STREAM + encoded([{"type": "message_stop"}]), "invalid message"),
            (STREAM + encoded([START]), "closed the connection before the end"),
            (STREAM + encoded([START, {"type": "ping"}]), "closed the connection before the end"),
            (STREAM + encoded([{"type": "ping"}]), "invalid message"),
            (
                STREAM + encoded([{"type": "message_start", "message": None}, {"type": "message_stop"}]),
                "invalid message",
            ),
            (b"garbage\r\n\r\n", "invalid message"),
            (STREAM.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "invalid message"),
            (STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\nabc"), "invalid message"),
            (STREAM.replace(b"\r\n\r\n", b"\r\nContent-Length: 99\r\n\r\n"), "closed the connection before the end"),
            (b"", "closed the connection before the end"),
        ],
    )
    async def test_a_broken_answer_has_its_own_reason(self, answer: bytes, expected: str) -> None:
        async with answering(answer) as url, connected(url, max_retries=0) as claude:
            with anyio.fail_after(SOON), pytest.raises(OperationFailed, match=expected):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://api.invalid", "a host name that cannot be resolved, and cannot be reached"),
            ("http://no-such-host.invalid:8080/x", "a host name that cannot be resolved, and cannot be reached"),
        ],
    )
    async def test_a_host_that_has_no_address_is_said_to_have_none(self, url: str, expected: str) -> None:
        async with connected(url, max_retries=0) as claude:
            with pytest.raises(OperationFailed, match=expected):
                await claude.reply(said("Hi"))

    async def test_a_server_without_tls_is_said_to_have_none(self) -> None:
        async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, secured(url) as claude:
            with pytest.raises(OperationFailed, match="does not speak TLS, and cannot be reached"):
                await claude.reply(said("Hi"))

    async def test_a_certificate_that_is_not_trusted_is_said_not_to_be(self, tmp_path: Path) -> None:
        made = self_signed(tmp_path, ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain, made.key)
        async with answering(b"", context) as url, secured(url) as claude:
            with pytest.raises(OperationFailed, match="has a certificate that is not trusted, and cannot"):
                await claude.reply(said("Hi"))

    async def test_an_error_without_the_apis_shape_is_told_by_its_status(self) -> None:
        answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope"
        async with answering(answer) as url, connected(url) as claude:
            with pytest.raises(OperationFailed, match=r"refuses the request: HTTP 400$"):
                await claude.reply(said("Hi"))


class TestProxies:
    @pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY", "http_proxy", "all_proxy"])
    @pytest.mark.parametrize("url", ["socks5://127.0.0.1:9", "socks5h://user:secret@proxy.example:1080"])
    async def test_a_proxy_that_needs_a_package_is_named(
        self, api: MessagesApi, variable: str, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, url)
        async with connected(api.url) as claude:
            with pytest.raises(
                NotConfigured, match=f"{variable} names a SOCKS proxy, which needs .*socksio"
            ) as refused:
                await claude.reply(said("Hi"))
        assert "secret" not in refused.value.message

    @pytest.mark.parametrize(
        "url",
        [
            "http://[::1",
            "ftp://proxy:21",
            "http://proxy:port",
            "http://proxy:99999",
            "two words",
            "http://",
            "socks4://a",
        ],
    )
    async def test_a_proxy_without_a_usable_url_is_named(
        self, api: MessagesApi, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", url)
        async with connected(api.url) as claude:
            with pytest.raises(NotConfigured, match="The proxy in the environment variable HTTPS_PROXY cannot be used"):
                await claude.reply(said("Hi"))

    async def test_a_proxy_that_refuses_connections_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        async with connected("http://api.example", max_retries=0) as claude:
            with pytest.raises(OperationFailed, match=r"refuses the connection, .*the proxy in .* HTTP_PROXY"):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_a_proxy_that_wants_a_password_is_named(self, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        async with answering(answer) as url:
            monkeypatch.setenv("ALL_PROXY", url)
            async with connected(f"{scheme}://api.example", max_retries=0) as claude:
                with pytest.raises(OperationFailed, match="The proxy before The Claude API"):
                    await claude.reply(said("Hi"))

    @pytest.mark.parametrize("excluded", ["*", "127.0.0.1", "other.example, 127.0.0.1"])
    async def test_a_host_that_needs_no_proxy_is_reached_without_one(
        self, api: MessagesApi, excluded: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", excluded)
        async with connected(api.url) as claude:
            assert (await claude.reply(said("Hi"))).text == "You said: Hi"

    @pytest.mark.parametrize("excluded", ["[fe80::1]", "localhost,[::1]", "host:port", "::1, other.example:x"])
    async def test_hosts_without_a_proxy_that_cannot_be_used_are_named(
        self, api: MessagesApi, excluded: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", excluded)
        async with connected(api.url) as claude:
            with pytest.raises(NotConfigured, match="The hosts in the environment variable NO_PROXY cannot be used"):
                await claude.reply(said("Hi"))

    @pytest.mark.parametrize("contents", [None, b"", b"no certificate", b"\xff\0"])
    async def test_certificates_that_cannot_be_read_are_named(
        self, api: MessagesApi, contents: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "secret-name.pem"
        if contents is not None:
            file.write_bytes(contents)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with connected(api.url) as claude:
            with pytest.raises(NotConfigured, match="The certificates in the environment variable SSL_CERT_FILE") as no:
                await claude.reply(said("Hi"))
        assert file.name not in no.value.message

    async def test_certificates_that_can_be_read_are_used(
        self, api: MessagesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        async with connected(api.url) as claude:
            assert (await claude.reply(said("Hi"))).text == "You said: Hi"


class TestCancellation:
    async def test_cancellation_closes_the_request(self) -> None:
        asked, hung_up = anyio.Event(), anyio.Event()

        async def hold(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.receive()
                asked.set()
                try:
                    while True:
                        await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    hung_up.set()

        with anyio.fail_after(PATIENCE):
            async with (
                await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
                anyio.create_task_group() as server,
            ):
                server.start_soon(listener.serve, hold)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                async with connected(f"http://127.0.0.1:{port}") as claude:
                    async with anyio.create_task_group() as call:
                        call.start_soon(claude.reply, said("Hi"))
                        await asked.wait()
                        call.cancel_scope.cancel()
                    await hung_up.wait()
                server.cancel_scope.cancel()

    async def test_after_a_cancelled_request_the_next_one_is_answered(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude:
            with anyio.move_on_after(0):
                await claude.reply(said("Never mind"))
            assert (await claude.reply(said("Hello"))).text == "You said: Hello"
