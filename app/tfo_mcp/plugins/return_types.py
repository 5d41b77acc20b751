"""Return types of tools: which of them are content blocks, and which hide blocks where none can be sent.

Knows types only, no value and no schema.
"""

import dataclasses
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from tfo_mcp.domain.content import Audio, EmbeddedResource, Image, ResourceLink, Text
from tfo_mcp.domain.tool import ToolResult

BLOCKS = (Text, Image, Audio, EmbeddedResource, ResourceLink)
"""The classes of content blocks."""

_UNSTRUCTURED = frozenset({str, type(None), ToolResult, *BLOCKS, Any})
_SEQUENCES = (list, tuple, Sequence, Collection, Iterable)
_NOT_IN_VALUES = frozenset({*BLOCKS, ToolResult, bytes, bytearray, memoryview})


def is_unstructured(returns: Any) -> bool:
    """Return whether values of this type are text or content blocks, so that they have no output schema."""
    origin = typing.get_origin(returns)
    if origin is typing.Annotated:
        return is_unstructured(typing.get_args(returns)[0])
    if origin in (typing.Union, types.UnionType):
        return all(is_unstructured(arm) for arm in typing.get_args(returns))
    if origin in _SEQUENCES:
        elements = [one for arm in typing.get_args(returns) if arm is not ... for one in _alternatives(arm)]
        return any(one in BLOCKS for one in elements) and all(one in BLOCKS or one is str for one in elements)
    return returns in _UNSTRUCTURED


def misplaced(returns: Any) -> str | None:
    """Return the name of a class in a structured type whose values are no JSON, None if there is none."""
    return next((found.__name__ for found in _parts(returns, set()) if found in _NOT_IN_VALUES), None)


def _alternatives(returns: Any) -> Iterator[Any]:
    if typing.get_origin(returns) is typing.Annotated:
        yield from _alternatives(typing.get_args(returns)[0])
    elif typing.get_origin(returns) in (typing.Union, types.UnionType):
        for arm in typing.get_args(returns):
            yield from _alternatives(arm)
    else:
        yield returns


def _parts(returns: Any, seen: set[Any]) -> Iterator[type]:
    """Yield the classes that a type consists of; those of a model's fields only if they are no bytes.

    A model may say how its bytes become text.
    """
    for arm in typing.get_args(returns):
        yield from _parts(arm, seen)
    if not isinstance(returns, type) or returns in seen:
        return
    seen.add(returns)
    yield returns
    if returns in _NOT_IN_VALUES or not (dataclasses.is_dataclass(returns) or hasattr(returns, "__annotations__")):
        return
    try:
        fields = typing.get_type_hints(returns)
    except (NameError, TypeError, AttributeError):  # a name that only a type checker knows
        return
    for field in fields.values():
        yield from (found for found in _parts(field, seen) if found not in (bytes, bytearray, memoryview))
