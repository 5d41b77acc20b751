"""Claude on Amazon Bedrock and on Vertex AI: the SDK's clients of these platforms, against local servers.

Credentials are found as the platforms' own packages find them: in the environment and in files that it names.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.model_platforms import PROJECT_ID, REGION, BedrockApi, VertexApi
from tests.support.deadlines import PATIENCE
from tests.support.guarded import guarded
from tests.support.messages_api import Fault, serving
from tests.support.messages_format import blocks_of
from tfo_mcp.application.ports import ModelFailed, ModelRequest
from tfo_mcp.domain.content import Text
from tfo_mcp.domain.conversation import ModelSettings
from tfo_mcp.domain.dialogue import ConversationMessage, Thinking, ToolUse
from tfo_mcp.domain.errors import NotConfigured
from tfo_mcp.domain.ids import new_message_id
from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.infrastructure.claude import Claude, ClaudeOptions, Provider
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry

SECRET = "secret/of+the/platform/0123456789"
MODELS: dict[Any, str] = {"bedrock": "eu.anthropic.claude-sonnet-5-5-v1:0", "vertex": "claude-sonnet-5-5@20260101"}
STARTED = 3  # events: the message and a text block have begun

pytestmark = pytest.mark.anyio
PlatformApi = BedrockApi | VertexApi


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["bedrock", "vertex"])
def kind(request: pytest.FixtureRequest) -> str:
    """The setting `claude.provider`."""
    return str(request.param)


@pytest.fixture
def api(kind: str) -> Iterator[PlatformApi]:
    with serving(BedrockApi(SECRET) if kind == "bedrock" else VertexApi(SECRET)) as server:
        yield server


@pytest.fixture
def variables(api: PlatformApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that this process has as well; others of the platforms are unset."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "CLOUD_ML_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ANTHROPIC_VERTEX_PROJECT_ID", raising=False)
    found = api.environment(tmp_path)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@asynccontextmanager
async def connected(kind: Any, url: str | None, **changes: Any) -> AsyncIterator[Claude]:
    place: dict[str, Any] = {"region": REGION, "project": PROJECT_ID if kind == "vertex" else None}
    provider = Provider(kind, base_url=url, **place | {name: changes.pop(name) for name in place if name in changes})
    options: dict[str, Any] = {"model": MODELS[kind], "timeout_seconds": 60.0, "max_retries": 1}
    claude = Claude(provider, ClaudeOptions(**options | changes), NoTelemetry())
    try:
        yield claude
    finally:
        await claude.aclose()


def said(kind: str, **options: Any) -> ModelRequest:
    settings: dict[str, Any] = {"model": MODELS[kind], "max_tokens": 4000}
    message = ConversationMessage(new_message_id(), "user", (Text("Hi"),))
    return ModelRequest([message], ModelSettings(**settings | options))


async def test_a_reply_streams_with_every_kind_of_block(kind: str, api: PlatformApi, variables: dict[str, str]) -> None:
    pieces: list[str] = []

    async def hear(text: str) -> None:
        pieces.append(text)

    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    use = {"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "a b"}}
    counts = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300}
    api.answer(thinking, "Hello there", use, stop_reason="tool_use", usage=counts)
    async with connected(kind, api.url) as claude:
        reply = await claude.reply(said(kind, thinking_tokens=2000), hear)
    assert reply.content == (Thinking("Hm.", "sig"), Text("Hello there"), ToolUse("t1", "read_file", {"path": "a b"}))
    assert (reply.model, reply.stop_reason, pieces) == (MODELS[kind], "tool_use", ["Hel", "lo there"])
    assert reply.usage == TokenUsage(1, 2, 20, 300, None)
    (request,) = api.requests
    assert request.body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


async def test_a_temperature_goes_with_the_last_version_that_takes_one(
    kind: str, api: PlatformApi, variables: dict[str, str]
) -> None:
    async with connected(kind, api.url) as claude:
        for temperature in (None, 0.0, 1.0):
            assert (await claude.reply(said(kind, temperature=temperature))).text == "You said: Hi"
    assert [request.body.get("temperature") for request in api.requests] == [None, 0.0, 1.0]


async def test_bedrock_takes_a_bearer_token_instead_of_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", SECRET)
    with serving(BedrockApi(SECRET)) as api:
        async with connected("bedrock", api.url) as claude:
            assert (await claude.reply(said("bedrock"))).text == "You said: Hi"
        assert api.requests[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_vertex_asks_once_for_an_access_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(VertexApi(SECRET)) as api:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", *api.environment(tmp_path).values())
        async with connected("vertex", api.url) as claude:
            for _ in range(3):
                await claude.reply(said("vertex"))
        assert (api.tokens_given, len(api.requests)) == (1, 3)


@pytest.mark.parametrize("way", ["setting", "environment"])
async def test_region_project_and_address_come_from_settings_or_environment(
    kind: str, way: str, api: PlatformApi, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {}
    if way == "environment":
        names = {"bedrock": "AWS_REGION", "vertex": "CLOUD_ML_REGION"}
        monkeypatch.setenv(names[kind], REGION)
        monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", PROJECT_ID)
        monkeypatch.setenv(f"ANTHROPIC_{kind.upper()}_BASE_URL", api.url)
        changes = {"region": None, "project": None}
    async with connected(kind, api.url if way == "setting" else None, **changes) as claude:
        assert (await claude.reply(said(kind))).text == "You said: Hi"


async def test_a_missing_region_or_project_is_named(kind: str, api: PlatformApi, variables: dict[str, str]) -> None:
    async with connected(kind, api.url, region=None) as claude:
        with pytest.raises(NotConfigured, match=rf"claude\.provider {kind} needs the settings? claude\.region"):
            await claude.reply(said(kind))
    if kind == "vertex":
        async with connected(kind, api.url, project=None) as claude:
            with pytest.raises(NotConfigured, match=r"settings claude\.region and claude\.project"):
                await claude.reply(said(kind))
    assert api.requests == []


@pytest.mark.parametrize("problem", ["none", "wrong profile"])
async def test_credentials_that_cannot_be_found_are_named(
    kind: str,
    problem: str,
    api: PlatformApi,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    changes: dict[str, Any] = {"region": "eu-other-1"}  # the SDK keeps the credentials of a region in this process
    if problem == "wrong profile":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        changes = {"region": None} if kind == "bedrock" else {}
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    async with connected(kind, api.url, **changes) as claude:
        with pytest.raises(NotConfigured, match=rf"credentials for claude\.provider {kind} are missing") as refused:
            await claude.reply(said(kind))
    assert str(tmp_path) not in refused.value.message


async def test_credentials_that_the_platform_refuses_are_not_called_an_api_key(
    kind: str, api: PlatformApi, variables: dict[str, str]
) -> None:
    async with connected(kind, api.url) as claude:
        assert (await claude.reply(said(kind))).text == "You said: Hi"
        api.api_key = "another one"
        with pytest.raises(ModelFailed, match="credentials in the environment") as refused:
            await claude.reply(said(kind))
    assert "API key" not in refused.value.message
    assert SECRET not in refused.value.message


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "refuses the request: Planned failure$"), (404, r"Planned failure \(check the model, and .*claude\.region"),
     (429, "limits the rate of requests: try again in 60 seconds$"), (500, "HTTP 500"), (503, "is overloaded")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["object", "list"])
async def test_refusals_of_the_platform_are_reported_with_its_reason(
    kind: str, form: str, status: int, words: str, api: PlatformApi, variables: dict[str, str]
) -> None:
    bodies: dict[str, Any] = {
        "object": {"message": "Planned failure"},
        "list": [{"error": {"message": "Planned failure"}}],
    }
    api.fail(status, retry_after=60 if status == 429 else None, body=bodies[form])
    async with connected(kind, api.url, max_retries=0) as claude:
        with pytest.raises(ModelFailed, match=words):
            await claude.reply(said(kind))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("reset", "closed the connection|cannot be reached"),
        ("end", "closed the connection before the end"),
        ("malformed", "returned an invalid message"),
        ("silence", "sent nothing for 1.5 seconds"),
        ("error", "is overloaded|limits the rate"),
    ],
)
async def test_a_stream_that_breaks_is_reported_and_its_tokens_are_counted(
    kind: str, fault: Any, words: str, api: PlatformApi, variables: dict[str, str]
) -> None:
    planned = Fault(fault, STARTED)
    api.answer("Never", fault=planned, usage={"input_tokens": 10})
    async with connected(kind, api.url, silence_seconds=1.5 if fault == "silence" else 30.0) as claude:
        with pytest.raises(ModelFailed, match=words) as failed:
            await claude.reply(said(kind))
        planned.until.set()
        assert failed.value.usage is not None
        assert (failed.value.usage.input, failed.value.usage.output) == (10, 1)
    assert len(api.requests) == 1  # a reply that has begun is not asked for again


def test_the_server_converses_and_uses_tools(
    kind: str, api: PlatformApi, variables: dict[str, str], tmp_path: Path
) -> None:
    claude = {"provider": kind, "region": REGION, "base_url": api.url, "model": MODELS[kind], "models": ["other"]}
    claude |= {"project": PROJECT_ID} if kind == "vertex" else {}
    with guarded(tmp_path, variables, claude=claude) as running:
        gate = replace(running, patience=6 * PATIENCE)  # the first call imports the SDK
        (tmp_path / "root" / "notes.txt").write_text("The answer is 42.")
        key = gate.key("tools:ai", "tools:read")
        api.use(("read_file", {"path": str(tmp_path / "root" / "notes.txt")}))
        api.answer("It is 42.")
        first = gate.tool(key, "claude_conversation", {"message": "Read my notes", "tools": ["read_file"]})
        assert first["structuredContent"]["text"].endswith("It is 42."), first
        again = {"conversation_id": first["structuredContent"]["conversation_id"]}
        second = gate.tool(key, "claude_conversation", {"message": "Sure?", **again})
        assert second["structuredContent"]["text"] == "You said: Sure?"
        unknown = gate.tool(key, "claude_conversation", {"message": "Hi", "model": "claude-unknown"})
    (result,) = blocks_of(api.requests[1].body["messages"][-1])
    assert "The answer is 42." in str(result["content"])
    assert [len(request.body["messages"]) for request in api.requests] == [1, 3, 5]
    assert f"Known models: {MODELS[kind]}, other" in unknown["content"][0]["text"]
