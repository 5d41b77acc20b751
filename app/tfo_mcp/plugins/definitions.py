"""The mark that a decorator leaves on a function: the entity that it defines.

The function itself stays what it was, to be called and tested as usual.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool

Definition = Tool | Prompt | Resource | ResourceTemplate
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_MARK = "__tfo_mcp_definition__"


def mark(function: FunctionT, definition: Definition) -> FunctionT:
    """Leave the definition on the function and return the function."""
    setattr(function, _MARK, definition)
    return function


def is_marked(candidate: object) -> bool:
    """Tell whether a decorator has been at work."""
    try:
        return isinstance(getattr(candidate, _MARK, None), Definition)
    except BaseException:  # a stand-in for another object, which may not be looked at here
        return False


def definition_of(function: Callable[..., Any]) -> Definition:
    """Return what the decorated function defines.

    Raises:
        InvalidDefinition: no decorator has been at work.
    """
    definition = getattr(function, _MARK, None)
    if not isinstance(definition, Definition):
        name = getattr(function, "__qualname__", repr(function))
        raise InvalidDefinition(f"{name} is not decorated with @tool, @resource or @prompt")
    return definition
