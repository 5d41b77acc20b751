"""Definitions that named hosts refuse."""

from collections.abc import Mapping
from typing import Any

import pytest

from tfo_mcp.builtin import MODULES, loaded
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins.host_limits import refusals
from tfo_mcp.plugins.loader import collect

RECURSIVE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"type": "object"}}}

TUPLE = {"type": "array", "items": [{"type": "integer"}, {"type": "integer"}]}


def with_property(name: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an input schema with a property."""
    return {"type": "object", "properties": {name: schema or {"type": "string"}}}


async def unused(*_: object) -> Any:
    raise AssertionError


def tool(name: str = "fine", description: str | None = "Fine.", schema: dict[str, Any] | None = None) -> Tool:
    return Tool(name, unused, schema or {"type": "object", "properties": {}}, description=description)


def test_the_built_in_tools_are_refused_by_no_host() -> None:
    assert list(refusals([one for one in collect(loaded(MODULES)) if isinstance(one, Tool)])) == []
    assert list(refusals([tool()])) == []


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (tool("a.b"), ("tool a.b: ", "dot", "Anthropic")),
        (tool("a" * 65), ("65 characters", "OpenAI")),
        (tool("a" * 55), ("55 characters", "Cursor")),
        (tool(description=None), ("without a description",)),
        (tool(description="x" * 1025), ("1025 characters", "OpenAI")),
        (tool(schema={"type": "object", "properties": {}, "anyOf": [{}]}), ("anyOf at the root", "Anthropic")),
        (tool(schema=RECURSIVE), ("$ref", "Gemini")),
        (tool(schema=with_property("a b")), ("property named 'a b'", "Anthropic", "Claude Desktop", "Claude Code")),
        (tool(schema=with_property("größe")), ("property named 'größe'", "Anthropic")),
        (tool(schema=with_property("x" * 65)), ("property named", "Anthropic", "64 characters")),
        (tool(schema=with_property("pair", TUPLE)), ("list in items", "OpenAI", "Gemini", "prefixItems")),
        (tool(schema=with_property("rows", {"type": "array", "items": TUPLE})), ("list in items", "OpenAI")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_refusal_names_the_tool_the_reason_and_the_host(refused: Tool, words: tuple[str, ...]) -> None:
    (line,) = refusals([refused])
    assert all(word in line for word in words)


def test_too_many_tools_are_refused() -> None:
    (line,) = refusals([tool(f"t{number}") for number in range(129)])
    assert "129 tools" in line


def test_only_the_properties_of_the_root_need_such_names() -> None:
    inner = with_property("a b")
    assert list(refusals([tool(schema=with_property("a.b-c_D", inner))])) == []
