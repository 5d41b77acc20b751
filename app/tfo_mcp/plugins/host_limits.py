"""What named hosts and model providers refuse in the definition of a tool.

For warnings: a tool with such a definition works elsewhere, but one of these hosts leaves it out, or refuses the whole
list. Must not know how definitions are published.
"""

import re
from collections.abc import Iterator, Sequence

from tfo_mcp.domain.text import shortened
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins.subschemas import descendants

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_NAME = 64
_LONGEST_NAME_IN_CURSOR = 60 - len("tfo-mcp:")
_LONGEST_DESCRIPTION = 1024
_MOST_TOOLS = 128
_COMBINATORS = ("oneOf", "anyOf", "allOf")


def refusals(tools: Sequence[Tool]) -> Iterator[str]:
    """Yield a line for each definition that a host refuses: the tool, the reason, and the host."""
    for tool in tools:
        for problem in _refusals_of(tool):
            yield f"tool {tool.name}: {problem}"
    if len(tools) > _MOST_TOOLS:
        yield f"{len(tools)} tools: the OpenAI API and VS Code take at most {_MOST_TOOLS} (see tools.enabled)"


def _refusals_of(tool: Tool) -> Iterator[str]:
    if not _NAME.fullmatch(tool.name):
        yield "a name with a dot is refused by the Anthropic and OpenAI APIs; use A-Z a-z 0-9 _ -"
    if len(tool.name) > _LONGEST_NAME:
        yield f"a name of {len(tool.name)} characters is refused by the OpenAI API (at most {_LONGEST_NAME})"
    elif len(tool.name) > _LONGEST_NAME_IN_CURSOR:
        yield (
            f"a name of {len(tool.name)} characters is left out by Cursor (at most {_LONGEST_NAME_IN_CURSOR} after the "
            "name of the server)"
        )
    if not tool.description:
        yield "without a description, models do not know when to call it"
    elif len(tool.description) > _LONGEST_DESCRIPTION:
        yield (
            f"a description of {len(tool.description)} characters is refused by the OpenAI API (at most "
            f"{_LONGEST_DESCRIPTION})"
        )
    found = [keyword for keyword in _COMBINATORS if keyword in tool.input_schema]
    if found:
        yield f"{found[0]} at the root of the input schema is refused by the Anthropic and OpenAI APIs"
    for name in tool.input_schema.get("properties", {}):
        if not _PROPERTY.fullmatch(name):
            yield (
                f"a property named {shortened(name, _LONGEST_NAME)!r} is refused by the Anthropic API, "
                "so by Claude Desktop and Claude Code; use 1 to 64 characters of A-Z a-z 0-9 _ . -"
            )
    parts = list(descendants(tool.input_schema))
    if any(isinstance(part.get("items"), list) for part in parts):
        yield "a list in items is refused by the OpenAI and Gemini APIs; use prefixItems, as in JSON Schema 2020-12"
    if any("$ref" in part for part in parts):
        yield "a recursive input schema ($ref) is refused by the Gemini API"
