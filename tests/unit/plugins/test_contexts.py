"""Context and SyncContext: the same interface for async and plain functions."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.channels import RecordingChannel, recording, request_by
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.commands import (
    AnnounceUpdate,
    RegisterPrompt,
    RegisterResource,
    RegisterTool,
    RemovePrompt,
    RemoveResource,
    RemoveTool,
)
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import Program
from tfo_mcp.domain.errors import InvalidAnswer, InvalidDefinition, MissingCapability
from tfo_mcp.domain.interaction import Answer
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins import (
    ClientRoot,
    Context,
    Elicit,
    Elicited,
    ListRoots,
    Roots,
    Sample,
    Sampled,
    SyncContext,
    Text,
    prompt,
    resource,
    tool,
    user,
)
from tfo_mcp.plugins.definitions import definition_of

pytestmark = pytest.mark.anyio

FORM = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}
ANSWERS: dict[str, Answer] = {
    "answer": Elicited("accept", {"age": 3}),
    "model": Sampled("assistant", Text("said"), "model-1"),
    "roots": Roots((ClientRoot("file:///a"),)),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def methods(face: type) -> dict[str, Callable[..., Any]]:
    """Return the public methods of a class, without its properties, such as `files`."""
    return {name: value for name, value in vars(face).items() if not name.startswith("_") and inspect.isfunction(value)}


async def run(function: Callable[..., Any], request: RequestContext) -> Any:
    """Run a tool function without arguments."""
    definition = definition_of(tool()(function))
    assert isinstance(definition, Tool)
    return await definition.run({}, request)


def test_both_contexts_offer_the_same_methods_with_the_same_arguments() -> None:
    ours, theirs = methods(Context), methods(SyncContext)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        parameters = inspect.signature(method).parameters.values()
        assert list(parameters) == list(inspect.signature(theirs[name]).parameters.values()), name


class TestTellingAndAsking:
    EXPECTED = (
        ("progress", 1, None, None),
        ("progress", 2, 3.0, "two"),
        ("log", "warning", {"a": 1}, "mine"),
        ("log", "info", "text", None),
        ("ask", {"answer": Elicit("?", FORM)}),
        ("ask", {"model": Sample((user("hi"),), 5), "roots": ListRoots()}),
        ("release", 1000),
        ("release", 5),
    )

    async def test_an_async_function_tells_and_asks(self) -> None:
        async def function(ctx: Context) -> str:
            await ctx.progress(1)
            await ctx.progress(2, total=3.0, message="two")
            await ctx.log("warning", {"a": 1}, logger="mine")
            await ctx.log("info", "text")
            age = await ctx.ask(Elicit("?", FORM))
            more = await ctx.ask_all({"model": Sample((user("hi"),), 5), "roots": ListRoots()})
            await ctx.release_stream()
            await ctx.release_stream(retry_ms=5)
            return f"{age.content} {sorted(more)}"

        request = request_by(channel=RecordingChannel(ANSWERS))
        assert (await run(function, request)).content == (Text("{'age': 3} ['model', 'roots']"),)
        assert tuple(recording(request).sent) == self.EXPECTED

    async def test_a_plain_function_does_so_from_its_thread(self) -> None:
        def function(ctx: SyncContext) -> str:
            ctx.progress(1)
            ctx.progress(2, total=3.0, message="two")
            ctx.log("warning", {"a": 1}, logger="mine")
            ctx.log("info", "text")
            age = ctx.ask(Elicit("?", FORM))
            more = ctx.ask_all({"model": Sample((user("hi"),), 5), "roots": ListRoots()})
            ctx.release_stream()
            ctx.release_stream(retry_ms=5)
            return f"{age.content} {sorted(more)}"

        request = request_by(channel=RecordingChannel(ANSWERS))
        assert (await run(function, request)).content == (Text("{'age': 3} ['model', 'roots']"),)
        assert tuple(recording(request).sent) == self.EXPECTED

    @pytest.mark.parametrize("content", [{"age": -1}, {"age": "3"}, {}, None])
    async def test_an_accepted_form_that_does_not_fit_is_no_answer(self, content: dict[str, Any] | None) -> None:
        async def function(ctx: Context) -> None:
            await ctx.ask(Elicit("?", FORM), key="age")

        channel = RecordingChannel({"age": Elicited("accept", content)})
        with pytest.raises(InvalidAnswer, match="'age'"):
            await run(function, request_by(channel=channel))

    @pytest.mark.parametrize("answer", [Elicited("decline"), Elicited("cancel"), Elicited("decline", {"age": -1})])
    async def test_a_form_that_is_not_accepted_needs_no_values(self, answer: Elicited) -> None:
        async def function(ctx: Context) -> str:
            return (await ctx.ask(Elicit("?", FORM))).action

        result = await run(function, request_by(channel=RecordingChannel({"answer": answer})))
        assert result.content == (Text(answer.action),)

    async def test_the_client_says_what_it_supports(self) -> None:
        channel = RecordingChannel(capabilities=frozenset({"sampling"}))
        context = Context(request_by(channel=channel))
        assert (context.supports("sampling"), context.supports("roots")) == (True, False)
        context.require("sampling")
        with pytest.raises(MissingCapability) as caught:
            context.require("roots")
        assert caught.value.required == {"roots": {}}

    async def test_a_plain_function_sees_that_nobody_waits(self) -> None:
        def function(ctx: SyncContext) -> str:
            return str(ctx.cancelled)

        assert (await run(function, request_by(channel=RecordingChannel(cancelled=True)))).content == (Text("True"),)


@tool()
def some_tool() -> str:
    """A tool."""
    return ""


@prompt()
def some_prompt() -> str:
    """A prompt."""
    return ""


@resource("test://fixed")
def some_resource() -> str:
    """A resource."""
    return ""


@resource("test://{variable}")
def some_template(variable: str) -> str:
    """A template."""
    return variable


class TestServices:
    @pytest.mark.parametrize("plain", [False, True])
    async def test_definitions_come_and_go_at_run_time(self, plain: bool) -> None:
        handled: list[object] = []

        async def keep(message: object) -> None:
            handled.append(message)

        bus = Bus()
        for kind in (RegisterTool, RegisterPrompt, RegisterResource, RemoveTool, RemovePrompt, RemoveResource):
            bus.register(kind, keep)
        bus.register(AnnounceUpdate, keep)
        functions = (some_tool, some_prompt, some_resource, some_template)

        async def later(ctx: Context) -> None:
            for function in functions:
                await ctx.register(function)
                await ctx.unregister(function)
            await ctx.resource_updated("test://fixed")

        def at_once(ctx: SyncContext) -> None:
            for function in functions:
                ctx.register(function)
                ctx.unregister(function)
            ctx.resource_updated("test://fixed")

        await run(at_once if plain else later, request_by(bus=bus))
        assert [type(message) for message in handled] == [
            *(RegisterTool, RemoveTool, RegisterPrompt, RemovePrompt),
            *(RegisterResource, RemoveResource) * 2,
            AnnounceUpdate,
        ]
        assert handled[-2:] == [RemoveResource("test://{variable}"), AnnounceUpdate("test://fixed")]

    async def test_only_decorated_functions_can_be_registered(self) -> None:
        def undecorated() -> None:
            return None

        with pytest.raises(InvalidDefinition, match="undecorated is not decorated"):
            await Context(request_by()).register(undecorated)

    async def test_files_commands_and_configuration_are_at_hand(self, tmp_path: Path) -> None:
        (tmp_path / "file.txt").write_text("content", encoding="utf-8")
        context = Context(request_by(root=str(tmp_path)))
        with anyio.fail_after(10):
            assert await context.files.read("file.txt") == b"content"
            outcome = await context.commands.run(Program(("cat", "file.txt")))
        assert outcome.stdout.text == "content"
        assert context.configuration() == {"server": {"port": 8080}}
