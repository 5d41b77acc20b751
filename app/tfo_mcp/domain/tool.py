"""The Tool entity: a function that models may call, with its metadata.

Owns the validation of a definition: its name, an object schema at the root, and the parameters that are mirrored into
HTTP headers (`x-mcp-header`, server/tools of the specification). Knows no protocol message and no transport.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any

from tfo_mcp.domain.access import SCOPES, TOOLS_READ, TOOLS_WRITE
from tfo_mcp.domain.content import Content, Icon, Text
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.failures import sendable
from tfo_mcp.value_objects import value_object

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HEADER_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MIRRORED_TYPES = frozenset({"string", "integer", "boolean"})
_LONGEST_CACHE_SECONDS = 86_400
HEADER_KEYWORD = "x-mcp-header"


@value_object
class ToolHints:
    """How a tool behaves. Clients must not trust the hints; the server derives the required scope from them."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True


class Absent(Enum):
    """Sentinel for a missing value, where None is a valid value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@value_object
class ToolResult:
    """The result of a call: content blocks for the model, an optional JSON value, and whether the call failed.

    `meta` is metadata for the client (`_meta`), by prefixed keys.
    """

    content: Sequence[Content] = ()
    structured: Any = ABSENT
    is_error: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def error(cls, message: str) -> "ToolResult":
        """Return an error result with a message."""
        return cls((Text(sendable(message)),), is_error=True)


@value_object
class MirroredParameter:
    """An argument that clients also send as header `Mcp-Param-{header}`; `path` is its path in the arguments."""

    header: str
    path: tuple[str, ...]
    json_type: str


ToolFunction = Callable[[Mapping[str, Any], Any], Awaitable[ToolResult]]
"""Takes the arguments and the request's context; checks the arguments itself."""


@value_object
class Tool:
    """A tool: its listed metadata and the function that runs it.

    `own_scope` is the scope that callers need; if None, it is `tools:read` or `tools:write`, depending on the hints.
    `cache_seconds` is how long results of a read-only tool are kept for equal calls; None keeps none.
    """

    name: str
    run: ToolFunction
    input_schema: Mapping[str, Any]
    title: str | None = None
    description: str | None = None
    output_schema: Mapping[str, Any] | None = None
    hints: ToolHints | None = None
    icons: tuple[Icon, ...] = ()
    own_scope: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    cache_seconds: float | None = None
    mirrored: tuple[MirroredParameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidDefinition(f"Tool {self.name!r}: a name is 1 to 128 characters of A-Z a-z 0-9 _ . -")
        if self.input_schema.get("type") != "object":
            raise InvalidDefinition(f"Tool {self.name!r}: the input schema must have 'type': 'object' at its root")
        if self.own_scope is not None and self.own_scope not in SCOPES:
            raise InvalidDefinition(f"Tool {self.name!r}: the scope must be one of {', '.join(SCOPES)}")
        self._check_cache()
        object.__setattr__(self, "mirrored", mirrored_parameters(self.name, self.input_schema))

    def _check_cache(self) -> None:
        if self.cache_seconds is None:
            return
        if self.hints is None or not self.hints.read_only:
            raise InvalidDefinition(f"Tool {self.name!r}: only a tool with ToolHints(read_only=True) can have a cache")
        if isinstance(self.cache_seconds, bool) or not 0 < self.cache_seconds <= _LONGEST_CACHE_SECONDS:
            raise InvalidDefinition(f"Tool {self.name!r}: the cache must be above 0 and at most a day, in seconds")

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.name

    @property
    def scope(self) -> str:
        """The scope that a caller needs to see and call the tool."""
        reads = self.hints is not None and self.hints.read_only
        return self.own_scope or (TOOLS_READ if reads else TOOLS_WRITE)


def mirrored_parameters(tool: str, schema: Mapping[str, Any]) -> tuple[MirroredParameter, ...]:
    """Return the arguments that clients of a tool with this input schema also send as headers.

    Raises:
        InvalidDefinition: the schema marks such arguments in a way that the specification forbids.
    """
    reachable = tuple(_reachable(tool, schema, ()))
    if _count_annotations(schema) != len(reachable):
        raise InvalidDefinition(
            f"Tool {tool!r}: {HEADER_KEYWORD} is allowed only on 'properties' reached from the root"
        )
    headers = [parameter.header.lower() for parameter in reachable]
    if len(set(headers)) != len(headers):
        raise InvalidDefinition(f"Tool {tool!r}: two parameters have the same {HEADER_KEYWORD}")
    return reachable


def _reachable(tool: str, schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[MirroredParameter]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name, child in properties.items():
        if not isinstance(child, Mapping):
            continue
        here = (*path, name)
        if HEADER_KEYWORD in child:
            header, json_type = child[HEADER_KEYWORD], child.get("type")
            if not isinstance(header, str) or not _HEADER_TOKEN.fullmatch(header):
                raise InvalidDefinition(f"Tool {tool!r}: {HEADER_KEYWORD} of {name!r} is not a header token")
            if not isinstance(json_type, str) or json_type not in _MIRRORED_TYPES:
                raise InvalidDefinition(f"Tool {tool!r}: {name!r} has {HEADER_KEYWORD}, so its type must be "
                                        "string, integer or boolean")  # fmt: skip
            yield MirroredParameter(header, here, json_type)
        yield from _reachable(tool, child, here)


def _count_annotations(schema: Any) -> int:
    if isinstance(schema, Mapping):
        own = not isinstance(
            schema.get(HEADER_KEYWORD, {}), Mapping
        )  # a mapping is the schema of a property with that name
        return own + sum(_count_annotations(child) for child in schema.values())
    if isinstance(schema, list):
        return sum(_count_annotations(child) for child in schema)
    return 0
