"""Functions: which objects can be decorated, and their names and type annotations.

Every refusal is one line that says what to write. Knows no tool, resource or prompt.
"""

import inspect
import typing
from collections.abc import Callable
from functools import cached_property, partial, partialmethod
from typing import Any

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.failures import summary

_IN_CLASSES = (staticmethod, classmethod, property, partialmethod, cached_property)


def name_of(function: Any) -> str:
    """Return the name of a function, or one that says what an object is that is no function."""
    while isinstance(function, partial):
        function = function.func
    inner = getattr(function, "fget", function)  # of a property
    return str(getattr(inner, "__name__", type(inner).__name__))


def require_function(function: Any, owner: str) -> None:
    """Check that an object is a function of a module, also one that is wrapped, and no generator.

    Raises:
        InvalidDefinition: it is something else, such as a method, which a decorator sees before there is its object.
    """
    outer = str(getattr(function, "__qualname__", "")).rpartition(".")[0]
    is_class = isinstance(function, type)
    if isinstance(function, _IN_CLASSES) or (outer and not outer.endswith("<locals>") and not is_class):
        hint = "decorate a function of the module that calls it"
        raise InvalidDefinition(f"{owner}: methods cannot be decorated, {hint}")
    if is_class or not callable(function) or not hasattr(function, "__name__"):
        kind = "class" if is_class else type(function).__name__
        raise InvalidDefinition(f"{owner}: a {kind} cannot be decorated: decorate a function, def or async def")
    if inspect.isasyncgenfunction(function):
        hint = "return the whole result, and report parts with ctx.progress"
        raise InvalidDefinition(f"{owner}: an async generator cannot be decorated: {hint}")


def type_hints(function: Callable[..., Any], owner: str) -> dict[str, Any]:
    """Return the type annotations of a function by their names.

    Raises:
        InvalidDefinition: one cannot be resolved.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as problem:
        reason = str(problem)
    except Exception as problem:  # an annotation in quotes is any expression
        reason = summary(problem)
    raise InvalidDefinition(f"{owner}: a type annotation cannot be resolved: {reason}")
