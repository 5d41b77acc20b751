"""@resource and @prompt: return values, parameters, completion, and definitions that are refused."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.support.channels import request_by
from tfo_mcp.domain.errors import InvalidDefinition, InvalidParams
from tfo_mcp.domain.prompt import Prompt, PromptArgument
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.plugins import (
    BlobContents,
    Context,
    Image,
    PromptMessage,
    SyncContext,
    Text,
    TextContents,
    assistant,
    prompt,
    resource,
    user,
)
from tfo_mcp.plugins.definitions import definition_of

pytestmark = pytest.mark.anyio

URI = "test://thing"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestResources:
    @pytest.mark.parametrize(
        ("value", "mime_type", "contents"),
        [
            ("text", None, (TextContents(URI, "text", "text/plain"),)),
            ("# text", "text/markdown", (TextContents(URI, "# text", "text/markdown"),)),
            (b"\xff", None, (BlobContents(URI, b"\xff", "application/octet-stream"),)),
            (b"\xff", "image/png", (BlobContents(URI, b"\xff", "image/png"),)),
            ({"a": 1}, None, (TextContents(URI, '{\n  "a": 1\n}', "application/json"),)),
            ([], None, (TextContents(URI, "[]", "application/json"),)),
            (TextContents("a://b", "t"), "text/html", (TextContents("a://b", "t"),)),
            (
                [TextContents("a://b", "t"), BlobContents("a://c", b"")],
                None,
                (TextContents("a://b", "t"), BlobContents("a://c", b"")),
            ),
        ],
    )
    async def test_what_a_function_returns_becomes_contents(
        self, value: Any, mime_type: str | None, contents: tuple[Any, ...]
    ) -> None:
        @resource(URI, mime_type=mime_type)
        def thing() -> Any:
            """A thing."""
            return value

        definition = definition_of(thing)
        assert isinstance(definition, Resource)
        assert (definition.name, definition.description, definition.mime_type) == ("thing", "A thing.", mime_type)
        assert await definition.read(URI, {}, request_by()) == contents

    async def test_variables_are_parameters_and_converted(self) -> None:
        @resource("test://{kind}/{number}")
        async def thing(number: int, kind: str, ctx: Context) -> str:
            return f"{kind} {number + 1} for {ctx.caller.name}"

        definition = definition_of(thing)
        assert isinstance(definition, ResourceTemplate)
        variables = definition.match("test://a%20b/41")
        assert variables is not None
        (contents,) = await definition.read("test://a%20b/41", variables, request_by())
        assert contents == TextContents("test://a%20b/41", "a b 42 for owner", "text/plain")
        with pytest.raises(InvalidParams, match="number") as caught:
            await definition.read("test://a/many", {"kind": "a", "number": "many"}, request_by())
        assert caught.value.details == {"uri": "test://a/many"}

    @pytest.mark.parametrize("uri", ["test://fixed", "test://{a}", "test://{a}/{b}/{c}", "test://{b}/{c}", "test://{a"])
    def test_variables_and_parameters_are_the_same(self, uri: str) -> None:
        def thing(a: str, b: str) -> str:
            return a + b

        with pytest.raises(InvalidDefinition) as caught:
            resource(uri)(thing)
        assert repr(uri) in caught.value.message

    @pytest.mark.parametrize("uri", ["test://{a}", "test://fixed"])
    def test_completion_of_what_is_no_variable_is_an_error_at_once(self, uri: str) -> None:
        def thing(a: str) -> str:
            return a

        def fixed() -> str:
            return ""

        with pytest.raises(InvalidDefinition, match="completion for unknown parameter 'b'"):
            resource(uri, complete={"b": lambda typed, others: []})(thing if "{" in uri else fixed)


class TestPrompts:
    @pytest.mark.parametrize(
        ("value", "messages"),
        [
            ("text", [PromptMessage("user", Text("text"))]),
            (assistant("text"), [PromptMessage("assistant", Text("text"))]),
            ([user("a"), assistant("b")], [PromptMessage("user", Text("a")), PromptMessage("assistant", Text("b"))]),
            ((user(Image(b"i", "image/png")),), [PromptMessage("user", Image(b"i", "image/png"))]),
            ([], []),
        ],
    )
    async def test_what_a_function_returns_becomes_messages(self, value: Any, messages: list[PromptMessage]) -> None:
        @prompt(title="Title")
        def opening() -> Any:
            """An opening."""
            return value

        definition = definition_of(opening)
        assert isinstance(definition, Prompt)
        rendered = await definition.render({}, request_by())
        assert list(rendered.messages) == messages
        assert (definition.name, definition.title, rendered.description) == ("opening", "Title", "An opening.")

    async def test_parameters_are_arguments_and_arrive_as_text(self) -> None:
        @prompt()
        def opening(
            code: Annotated[str, Field(min_length=1, title="Code", description="The code.")],
            ctx: SyncContext,
            lines: int = 3,
        ) -> str:
            return f"{code} {lines + 1} for {ctx.caller.name}"

        definition = definition_of(opening)
        assert isinstance(definition, Prompt)
        assert definition.arguments == (
            PromptArgument("code", "Code", "The code.", required=True),
            PromptArgument("lines", required=False),
        )
        rendered = await definition.render({"code": "x", "lines": "41", "unknown": "ignored"}, request_by())
        assert rendered.messages[0].content == Text("x 42 for owner")

    @pytest.mark.parametrize("arguments", [{"code": ""}, {}, {"code": "x", "lines": "many"}])
    async def test_arguments_that_do_not_fit_are_an_error_of_the_caller(self, arguments: dict[str, str]) -> None:
        @prompt()
        def opening(code: Annotated[str, Field(min_length=1)], lines: int = 3) -> str:
            return code * lines

        definition = definition_of(opening)
        assert isinstance(definition, Prompt)
        with pytest.raises(InvalidParams, match="Invalid arguments for opening"):
            await definition.render(arguments, request_by())

    def test_completion_of_what_is_no_parameter_is_an_error_at_once(self) -> None:
        with pytest.raises(InvalidDefinition, match="completion for unknown parameter 'b'"):

            @prompt(complete={"b": lambda typed, others: []})
            def opening(a: str) -> str:
                return a


async def test_completers_are_plain_or_async_and_know_the_other_arguments() -> None:
    def plain(typed: str, others: Mapping[str, str]) -> Iterable[str]:
        return (f"{typed}-{number}-{others.get('b', '')}" for number in range(2))

    async def later(typed: str, others: Mapping[str, str]) -> list[str]:
        return [typed.upper()]

    @prompt(complete={"a": plain, "b": later})
    def opening(a: str, b: str) -> str:
        return a + b

    @resource("test://{a}", complete={"a": later})
    def thing(a: str) -> str:
        return a

    shown, template = definition_of(opening), definition_of(thing)
    assert isinstance(shown, Prompt)
    assert isinstance(template, ResourceTemplate)
    assert list(await shown.completers["a"]("x", {"b": "y"}, request_by())) == ["x-0-y", "x-1-y"]
    assert list(await shown.completers["b"]("x", {}, request_by())) == ["X"]
    assert list(await template.completers["a"]("x", {}, request_by())) == ["X"]
