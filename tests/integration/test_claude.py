"""Claude through the real Anthropic SDK and real sockets, against a local server that speaks the Messages API."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.support.messages_api import MessagesApi, messages_api
from tfo_mcp.application.ports import ModelRequest
from tfo_mcp.domain.content import Role
from tfo_mcp.domain.conversation import ConversationMessage
from tfo_mcp.domain.errors import NotConfigured, OperationFailed
from tfo_mcp.domain.ids import new_message_id
from tfo_mcp.infrastructure.claude import Claude
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry

KEY = "sk-ant-test-0123456789"
MODEL = "claude-sonnet-5-5"
PATIENCE = 10.0
SHORT = 0.3  # seconds
SOON = 3.0  # seconds in which a refusal arrives on a loaded machine

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
    settings: dict[str, Any] = {
        "api_key": KEY,
        "base_url": url,
        "model": MODEL,
        "max_tokens": 1024,
        "timeout_seconds": PATIENCE,
        "max_retries": 2,
        "telemetry": NoTelemetry(),
    }
    claude = Claude(**settings | changes)
    try:
        yield claude
    finally:
        await claude.aclose()


def said(*texts: str, **options: Any) -> ModelRequest:
    """Return a conversation of alternating turns that begins with the user."""
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = [ConversationMessage(new_message_id(), roles[number % 2], text) for number, text in enumerate(texts)]
    return ModelRequest(turns, **options)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Yield the URL of a server that sends these bytes on each connection and closes it."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

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
        assert (reply.input_tokens, reply.output_tokens) == (4, 2)
        assert api.requests[0].body == {
            "model": MODEL,
            "max_tokens": 1024,
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Say hello to me"},
            ],
        }

    async def test_what_a_request_names_comes_before_what_is_configured(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude:
            await claude.reply(said("Hi", model="claude-other", max_tokens=5, system_prompt="Be brief"))
        body = api.requests[0].body
        assert (body["model"], body["max_tokens"], body["system"]) == ("claude-other", 5, "Be brief")

    async def test_a_temperature_goes_with_the_last_version_of_the_api_that_takes_one(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude:
            await claude.reply(said("Hi"))
            await claude.reply(said("Hi", temperature=0))
        without, with_temperature = api.requests
        assert "temperature" not in without.body
        assert without.headers["anthropic-version"] != "2023-06-01"
        assert with_temperature.body["temperature"] == 0
        assert with_temperature.headers["anthropic-version"] == "2023-06-01"

    async def test_conversations_at_the_same_time_share_one_client(self, api: MessagesApi) -> None:
        async with connected(api.url) as claude, anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(claude.reply, said(f"Hello {number}"))
        assert len(api.requests) == 5

    def test_the_sdk_is_imported_only_when_it_is_needed(self) -> None:
        program = "import sys, tfo_mcp.infrastructure.claude; sys.exit('anthropic' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class TestConfiguration:
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

    async def test_a_failure_that_may_pass_is_tried_again(self, api: MessagesApi) -> None:
        api.fail(529, retry_after=0.01)
        api.fail(500, retry_after=0.01)
        api.answer("At last")
        async with connected(api.url) as claude:
            assert (await claude.reply(said("Hi"))).text == "At last"
        assert len(api.requests) == 3

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
                OperationFailed, match=r"cannot be reached: check the network .*claude\.base_url$"
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

    async def test_an_error_without_the_apis_shape_is_told_by_its_status(self) -> None:
        answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope"
        async with answering(answer) as url, connected(url) as claude:
            with pytest.raises(OperationFailed, match=r"refuses the request: HTTP 400$"):
                await claude.reply(said("Hi"))


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
