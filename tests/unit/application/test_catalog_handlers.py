"""The handlers of tools, resources, prompts and completions with real catalogs and the real event bus."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.support.channels import request_by
from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.commands import (
    AnnounceUpdate,
    ExecuteTool,
    RegisterPrompt,
    RegisterResource,
    RegisterTool,
    RemovePrompt,
    RemoveResource,
    RemoveTool,
)
from tfo_mcp.application.handlers.completions import CompletionHandler
from tfo_mcp.application.handlers.prompts import PromptHandler
from tfo_mcp.application.handlers.resources import ResourceHandler
from tfo_mcp.application.handlers.tools import ToolHandler
from tfo_mcp.application.queries import (
    Complete,
    GetPrompt,
    GetTool,
    ListPrompts,
    ListResources,
    ListResourceTemplates,
    ListTools,
    ReadResource,
    ResolveResource,
)
from tfo_mcp.application.result_cache import ResultCache
from tfo_mcp.domain.access import OWNER, READING, Caller
from tfo_mcp.domain.content import Text, TextContents
from tfo_mcp.domain.errors import (
    FileMissing,
    InvalidParams,
    OperationFailed,
    PromptNotFound,
    ResourceNotFound,
    ToolNotFound,
)
from tfo_mcp.domain.events import (
    DomainEvent,
    PromptRegistered,
    PromptRemoved,
    PromptRendered,
    ResourceRead,
    ResourceRegistered,
    ResourceRemoved,
    ResourceUpdated,
    ToolExecuted,
    ToolRegistered,
    ToolRemoved,
)
from tfo_mcp.domain.prompt import Prompt, PromptArgument, PromptMessage, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool, ToolHints, ToolResult
from tfo_mcp.infrastructure.state.cache import MemoryCache
from tfo_mcp.infrastructure.state.events import MemoryEventBus

pytestmark = pytest.mark.anyio

READER = Caller("reader", READING)
NOBODY = Caller("nobody", frozenset())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def events() -> MemoryEventBus:
    return MemoryEventBus()


@pytest.fixture
def heard(events: MemoryEventBus) -> list[DomainEvent]:
    """Return the list that collects every event of the handlers."""
    told: list[DomainEvent] = []
    kinds: list[type[DomainEvent]] = [
        *(ToolRegistered, ToolRemoved, ToolExecuted, PromptRegistered, PromptRemoved, PromptRendered),
        *(ResourceRegistered, ResourceRemoved, ResourceUpdated, ResourceRead),
    ]
    events.subscribe(kinds, told.append)
    return told


def tool(name: str, *, read_only: bool = True, fails: Exception | None = None) -> Tool:
    """Return a tool that returns its name, or fails."""

    async def run(arguments: Mapping[str, Any], _: Any) -> ToolResult:
        if fails is not None:
            raise fails
        return ToolResult((Text(f"{name} {dict(arguments)}"),))

    return Tool(name, run, {"type": "object"}, hints=ToolHints(read_only=read_only))


class EveryTool:
    """A server that offers every tool."""

    def offers(self, tool: Tool) -> bool:
        return True

    def unavailable(self, name: str) -> str | None:
        return None


class TestTools:
    @pytest.fixture
    async def handler(self, events: MemoryEventBus) -> ToolHandler:
        handler = ToolHandler(Catalog(), events, 2, EveryTool(), ResultCache(MemoryCache(), ""))
        for entry in (tool("write", read_only=False), tool("read"), tool("look")):
            await handler.register(RegisterTool(entry))
        return handler

    @pytest.mark.parametrize(
        ("caller", "names"), [(OWNER, ["look", "read", "write"]), (READER, ["look", "read"]), (NOBODY, [])]
    )
    async def test_a_caller_sees_the_tools_that_it_may_use(
        self, handler: ToolHandler, caller: Caller, names: list[str]
    ) -> None:
        first = await handler.list(ListTools(caller))
        rest = () if first.next_cursor is None else (await handler.list(ListTools(caller, first.next_cursor))).entries
        assert [entry.name for entry in (*first.entries, *rest)] == names

    @pytest.mark.parametrize("caller", [READER, NOBODY])
    async def test_a_tool_that_a_caller_may_not_use_is_as_unknown_as_one_that_is_not_there(
        self, handler: ToolHandler, caller: Caller
    ) -> None:
        problems = []
        for name in ("write", "nothing"):
            with pytest.raises(ToolNotFound) as found:
                await handler.get(GetTool(caller, name))
            problems.append((found.value.message, found.value.details))
        assert [(text.replace("write", "nothing"), {"name": "nothing"}) for text, _ in problems] == [problems[-1]] * 2

    async def test_a_tool_runs_with_its_arguments_and_is_told_of(
        self, handler: ToolHandler, heard: list[DomainEvent]
    ) -> None:
        result = await handler.execute(ExecuteTool(tool("read"), {"a": 1}, request_by(READER)))
        assert result == ToolResult((Text("read {'a': 1}"),))
        (event,) = heard
        assert isinstance(event, ToolExecuted)
        assert (event.name, event.is_error) == ("read", False)
        assert event.duration_seconds >= 0

    async def test_what_a_tool_reports_as_its_own_failure_is_a_result(
        self, handler: ToolHandler, heard: list[DomainEvent]
    ) -> None:
        failing = tool("fail", fails=OperationFailed("try again"))
        result = await handler.execute(ExecuteTool(failing, {}, request_by()))
        assert (result.is_error, result.content) == (True, (Text("try again"),))
        assert [event.is_error for event in heard if isinstance(event, ToolExecuted)] == [True]

    async def test_every_other_exception_is_no_result(self, handler: ToolHandler) -> None:
        with pytest.raises(ZeroDivisionError):
            await handler.execute(ExecuteTool(tool("break", fails=ZeroDivisionError()), {}, request_by()))

    async def test_coming_and_going_is_announced_each_time(
        self, handler: ToolHandler, heard: list[DomainEvent]
    ) -> None:
        for _ in range(2):
            await handler.register(RegisterTool(tool("new")))
            await handler.remove(RemoveTool("new"))
        assert heard == [ToolRegistered("new"), ToolRemoved("new")] * 2


def reading(word: str, fails: Exception | None = None) -> Any:
    """Return a read function that returns a word and the variables, or fails."""

    async def read(uri: str, variables: Mapping[str, str], _: Any) -> tuple[TextContents, ...]:
        if fails is not None:
            raise fails
        return (TextContents(uri, f"{word} {dict(variables)}"),)

    return read


class TestResources:
    @pytest.fixture
    async def handler(self, events: MemoryEventBus) -> ResourceHandler:
        handler = ResourceHandler(Catalog(), Catalog(), events, page_size=5)
        for entry in (
            Resource("a://fixed/1", "fixed", reading("fixed")),
            ResourceTemplate("a://fixed/{x}", "narrow", reading("narrow")),
            ResourceTemplate("a://{path}", "wide", reading("wide")),
        ):
            await handler.register(RegisterResource(entry))
        return handler

    @pytest.mark.parametrize(
        ("uri", "name", "text"),
        [
            ("a://fixed/1", "a://fixed/1", "fixed {}"),
            ("a://fixed/2", "a://fixed/{x}", "narrow {'x': '2'}"),
            ("a://other/2", "a://{path}", "wide {'path': 'other/2'}"),
        ],
    )
    async def test_the_most_specific_one_answers(
        self, handler: ResourceHandler, heard: list[DomainEvent], uri: str, name: str, text: str
    ) -> None:
        assert await handler.read(ReadResource(uri, request_by())) == (TextContents(uri, text),)
        assert heard == [ResourceRead(name)]

    @pytest.mark.parametrize("uri", ["b://fixed/1", "a://", ""])
    async def test_a_uri_that_nothing_answers_to_is_not_found(self, handler: ResourceHandler, uri: str) -> None:
        with pytest.raises(ResourceNotFound) as caught:
            await handler.read(ReadResource(uri, request_by()))
        assert caught.value.details == {"uri": uri}
        with pytest.raises(ResourceNotFound):
            await handler.resolve(ResolveResource(uri, READER))

    async def test_a_missing_file_behind_a_resource_is_a_missing_resource(
        self, handler: ResourceHandler, heard: list[DomainEvent]
    ) -> None:
        await handler.register(RegisterResource(Resource("a://gone", "gone", reading("", FileMissing("no file")))))
        await handler.resolve(ResolveResource("a://gone", READER))
        with pytest.raises(ResourceNotFound):
            await handler.read(ReadResource("a://gone", request_by()))
        assert heard == [ResourceRegistered("a://gone")]

    async def test_resources_and_templates_are_listed_apart(self, handler: ResourceHandler) -> None:
        assert [entry.key for entry in (await handler.list(ListResources(READER))).entries] == ["a://fixed/1"]
        templates = (await handler.list_templates(ListResourceTemplates(READER))).entries
        assert [entry.key for entry in templates] == ["a://fixed/{x}", "a://{path}"]

    async def test_coming_going_and_changing_is_announced(
        self, handler: ResourceHandler, heard: list[DomainEvent]
    ) -> None:
        await handler.remove(RemoveResource("a://fixed/{x}"))
        await handler.announce(AnnounceUpdate("a://fixed/1"))
        assert heard == [ResourceRemoved("a://fixed/{x}"), ResourceUpdated("a://fixed/1")]
        assert (await handler.read(ReadResource("a://fixed/2", request_by())))[0] == TextContents(
            "a://fixed/2", "wide {'path': 'fixed/2'}"
        )


async def letters(typed: str, others: Mapping[str, str], _: Any) -> Iterable[str]:
    """Suggest values that begin with the typed letters, in upper case if the argument `case` is "upper"."""
    return [
        f"{typed}{number}" if others.get("case") != "upper" else f"{typed}{number}".upper() for number in range(150)
    ]


def greeting() -> Prompt:
    """Return a prompt with one required and one optional argument."""

    async def render(arguments: Mapping[str, str], _: Any) -> RenderedPrompt:
        return RenderedPrompt((PromptMessage("user", Text(str(dict(arguments)))),))

    arguments = (PromptArgument("name", required=True), PromptArgument("case"))
    return Prompt("greeting", render, arguments=arguments, completers={"name": letters})


class TestPrompts:
    @pytest.fixture
    async def handler(self, events: MemoryEventBus) -> PromptHandler:
        handler = PromptHandler(Catalog(), events, page_size=5)
        await handler.register(RegisterPrompt(greeting()))
        return handler

    async def test_a_prompt_is_rendered_and_told_of(self, handler: PromptHandler, heard: list[DomainEvent]) -> None:
        rendered = await handler.render(GetPrompt("greeting", {"name": "Ada"}, request_by()))
        assert rendered.messages[0].content == Text("{'name': 'Ada'}")
        assert heard == [PromptRendered("greeting")]

    async def test_an_unknown_prompt_is_not_found(self, handler: PromptHandler) -> None:
        with pytest.raises(PromptNotFound, match="other"):
            await handler.render(GetPrompt("other", {}, request_by()))

    async def test_coming_and_going_is_announced(self, handler: PromptHandler, heard: list[DomainEvent]) -> None:
        await handler.remove(RemovePrompt("greeting"))
        await handler.register(RegisterPrompt(greeting()))
        assert heard == [PromptRemoved("greeting"), PromptRegistered("greeting")]
        assert [entry.name for entry in (await handler.list(ListPrompts(READER))).entries] == ["greeting"]


class TestCompletions:
    @pytest.fixture
    def handler(self) -> CompletionHandler:
        prompts: Catalog[Prompt] = Catalog()
        templates: Catalog[ResourceTemplate] = Catalog()
        prompts.put(greeting())
        templates.put(ResourceTemplate("a://{x}/{y}", "name", reading(""), completers={"x": letters}))
        return CompletionHandler(prompts, templates)

    async def test_at_most_a_hundred_values_are_suggested_and_all_are_counted(self, handler: CompletionHandler) -> None:
        completion = await handler.complete(Complete("prompt", "greeting", "name", "b", {}, request_by()))
        assert (len(completion.values), completion.total) == (100, 150)
        assert completion.values[0] == "b0"

    async def test_the_other_arguments_are_known_to_the_completer(self, handler: CompletionHandler) -> None:
        completion = await handler.complete(
            Complete("prompt", "greeting", "name", "b", {"case": "upper"}, request_by())
        )
        assert completion.values[0] == "B0"

    async def test_variables_of_templates_are_completed(self, handler: CompletionHandler) -> None:
        completion = await handler.complete(Complete("resource", "a://{x}/{y}", "x", "q", {}, request_by()))
        assert completion.values[:2] == ("q0", "q1")

    async def test_an_argument_without_a_completer_has_no_suggestions(self, handler: CompletionHandler) -> None:
        completion = await handler.complete(Complete("resource", "a://{x}/{y}", "y", "q", {}, request_by()))
        assert (completion.values, completion.total) == ((), 0)

    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            (Complete("prompt", "other", "name", "", {}, request_by()), PromptNotFound),
            (Complete("resource", "b://{x}", "x", "", {}, request_by()), ResourceNotFound),
            (Complete("prompt", "greeting", "nobody", "", {}, request_by()), InvalidParams),
            (Complete("resource", "a://{x}/{y}", "z", "", {}, request_by()), InvalidParams),
        ],
    )
    async def test_what_does_not_exist_is_an_error(
        self, handler: CompletionHandler, query: Complete, problem: type[Exception]
    ) -> None:
        with pytest.raises(problem):
            await handler.complete(query)
