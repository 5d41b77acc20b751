"""Attaches a definition (a tool, resource, template or prompt) to the function that implements it.

The function itself is unchanged and can be called and tested as usual. Also names the commands that add a definition to
the catalogs and remove it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from tfo_mcp.application.bus import Command
from tfo_mcp.application.commands import (
    RegisterPrompt,
    RegisterResource,
    RegisterTool,
    RemovePrompt,
    RemoveResource,
    RemoveTool,
)
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool

Definition = Tool | Prompt | Resource | ResourceTemplate
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_MARK = "__tfo_mcp_definition__"


def mark(function: FunctionT, definition: Definition) -> FunctionT:
    """Attach the definition to the function and return the function."""
    setattr(function, _MARK, definition)
    return function


def is_marked(candidate: object) -> bool:
    """Return whether an object has a definition attached; never raises."""
    try:
        return isinstance(getattr(candidate, _MARK, None), Definition)
    except BaseException:  # lazy proxies may raise anything on attribute access
        return False


def definition_of(function: Callable[..., Any]) -> Definition:
    """Return the definition of a decorated function.

    Raises:
        InvalidDefinition: the function is not decorated.
    """
    definition = getattr(function, _MARK, None)
    if not isinstance(definition, Definition):
        name = getattr(function, "__qualname__", repr(function))
        raise InvalidDefinition(f"{name} is not decorated with @tool, @resource or @prompt")
    return definition


def registration(definition: Definition) -> Command[None]:
    """Return the command that adds a definition, replacing one with the same key."""
    match definition:
        case Tool():
            return RegisterTool(definition)
        case Prompt():
            return RegisterPrompt(definition)
        case Resource() | ResourceTemplate():
            return RegisterResource(definition)


def removal(definition: Definition) -> Command[None]:
    """Return the command that removes a definition."""
    match definition:
        case Tool():
            return RemoveTool(definition.key)
        case Prompt():
            return RemovePrompt(definition.key)
        case Resource() | ResourceTemplate():
            return RemoveResource(definition.key)
