"""Mistakes of authors: each is one line at load that names the definition and says what to write."""

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, cast

import pytest

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins import lifespan, prompt, resource, tool
from tfo_mcp.plugins.definitions import is_marked
from tfo_mcp.plugins.lifespans import lifespans_in


def add(a: int, b: int = 1) -> int:
    return a + b


class Adder:
    """An object that can be called."""

    def __call__(self, a: int) -> int:
        return a


def called_back(b: str, a: Callable[[], int]) -> str:
    return ""


def called_back_often(b: str, a: list[Callable[[], int]]) -> str:
    return ""


def numbered(a: 5) -> str:  # type: ignore[valid-type]
    return ""


def half(a: "list[") -> str:  # type: ignore  # noqa: F722
    return ""


async def streamed(a: str) -> AsyncIterator[str]:
    yield a


METHOD: Any = classmethod(cast(Any, add))
DECORATORS = {"tool": tool, "prompt": prompt, "resource": resource("note://{b}/{a}")}


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (METHOD, "methods cannot be decorated, decorate a function of the module"),
        (property(add), "methods cannot be decorated, decorate a function of the module"),
        (functools.partial(add, b=2), "a partial cannot be decorated: decorate a function, def or async def"),
        (Adder(), "a Adder cannot be decorated: decorate a function, def or async def"),
        (Adder, "a class cannot be decorated: decorate a function, def or async def"),
        (called_back, "parameter 'a' has no JSON Schema: "),
        (called_back_often, "parameter 'a' has no JSON Schema: "),
        (numbered, "parameter 'a' has no JSON Schema: "),
        (half, "a type annotation cannot be resolved: "),
        (streamed, "an async generator cannot be decorated: return the whole result"),
    ],
)
def test_what_is_no_usable_function_is_refused_in_one_line(decorator: str, function: Any, words: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        DECORATORS[decorator](function)
    assert words in refused.value.message
    assert refused.value.message.lower().startswith(decorator)
    assert "\n" not in refused.value.message
    assert "arbitrary_types_allowed" not in refused.value.message


@pytest.mark.parametrize("function", [functools.partial(add, b=2), Adder()])
def test_a_name_of_its_own_changes_nothing_about_that(function: Any) -> None:
    with pytest.raises(InvalidDefinition, match=r"Tool 'named': .* decorate a function"):
        tool("named")(function)


def test_an_annotation_that_cannot_be_resolved_is_refused_with_a_schema_of_ones_own_as_well() -> None:
    with pytest.raises(InvalidDefinition, match="Tool 'half': a type annotation cannot be resolved"):
        tool(input_schema={"type": "object"})(half)


def test_a_function_with_a_cache_of_its_own_is_a_tool() -> None:
    assert is_marked(tool(functools.cache(add)))


@pytest.mark.parametrize("function", [add, Adder(), METHOD])
def test_a_resource_without_its_uri_is_refused_with_the_way_to_write_it(function: Any) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        resource(function)
    assert '@resource("scheme://path")' in refused.value.message
    assert "add" in refused.value.message or "Adder" in refused.value.message


@pytest.mark.parametrize("decorator", [tool, prompt])
def test_a_name_that_is_no_text_is_refused(decorator: Any) -> None:
    with pytest.raises(InvalidDefinition, match="int cannot be decorated"):
        decorator(5)


async def suggested(typed: str, others: Mapping[str, str]) -> AsyncIterator[str]:
    yield typed


class Suggestions:
    """An object that can be called."""

    def __call__(self, typed: str, others: Mapping[str, str]) -> Iterable[str]:
        return [typed]


@pytest.mark.parametrize("complete", [suggested, 5])
def test_a_completion_that_cannot_be_called_is_refused_with_its_parameter(complete: Any) -> None:
    def write(name: str) -> str:
        return name

    with pytest.raises(InvalidDefinition, match="Prompt 'write': the completion of 'name' must be a function"):
        prompt(complete={"name": complete})(write)


def test_a_completion_may_be_an_object() -> None:
    def write(name: str) -> str:
        return name

    assert is_marked(prompt(complete={"name": Suggestions()})(write))


def test_a_lifespan_may_have_parentheses() -> None:
    @lifespan()
    async def opened() -> AsyncIterator[None]:
        yield

    module = ModuleType("plugin")
    module.opened = opened  # type: ignore[attr-defined]
    assert lifespans_in([module]) == (opened,)
    with pytest.raises(InvalidDefinition, match="Lifespan add: write async def"):
        lifespan()(add)  # type: ignore[type-var]
