"""Converts the return values of plugin functions into results, resource contents and prompts.

A tool's return type determines its output schema: text and content blocks have none, structured types have one.
Values that are not objects are wrapped as `{"result": value}`. Values are validated against the schema before they
are returned.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from tfo_mcp.domain.content import BlobContents, Content, ResourceContents, Text, TextContents
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.prompt import PromptMessage, RenderedPrompt
from tfo_mcp.domain.text import with_whole_characters
from tfo_mcp.domain.tool import ABSENT, ToolResult
from tfo_mcp.plugins.portable_schemas import listed_output, portable_output
from tfo_mcp.plugins.return_types import BLOCKS, is_unstructured, misplaced
from tfo_mcp.plugins.schemas import CompiledSchema, schema_of
from tfo_mcp.plugins.true_types import true_contents, with_true_types

_CONTENTS = (TextContents, BlobContents)
_WRAPPER = "result"
_ADVICE = "return content blocks alone or in a list with text, or a ToolResult"


class OutputMismatch(Exception):
    """A tool returned a value that violates its own output schema: a bug in the tool."""


class ToolOutput:
    """Converts the return values of a tool function into ToolResults.

    `schema` is the tool's output schema, None if its results are unstructured.
    """

    def __init__(self, returns: Any, declared: Mapping[str, Any] | type | None, owner: str) -> None:
        self._owner = owner
        self._is_open = returns is Any
        self._adapter: TypeAdapter[Any] | None = None
        self._wrapped = False
        self.schema: Mapping[str, Any] | None = None
        if isinstance(declared, Mapping):
            self._adapter = TypeAdapter(Any)
            self.schema = portable_output(declared)
        elif declared is not None or not is_unstructured(returns):
            if (name := misplaced(returns if declared is None else declared)) is not None:
                raise InvalidDefinition(f"{owner}: the return type has {name} inside of a structured value; {_ADVICE}")
            try:
                self._adapter = TypeAdapter(returns if declared is None else declared)
                own = schema_of(self._adapter, "serialization")
                own.pop("description", None)  # the docstring of the type; the tool's description says what it returns
            except PydanticUserError as problem:
                reason = str(problem).partition("\n")[0]
                raise InvalidDefinition(f"{owner}: the return type has no JSON Schema: {reason}") from None
            self._wrapped = not _is_object(own)
            self.schema = portable_output(_wrap(own) if self._wrapped else own)
        self._compiled = None if self.schema is None else CompiledSchema(self.schema, f"{owner} output")
        self.listed_schema = None if self.schema is None else listed_output(self.schema)

    def result(self, value: Any) -> ToolResult:
        """Return the ToolResult for `value`.

        Raises:
            OutputMismatch: the value violates the output schema.
        """
        if isinstance(value, ToolResult):
            return self._complete(value)
        if self._adapter is not None:
            return self._complete(ToolResult(structured=value))
        return ToolResult(with_true_types(self._content(value)))

    def _content(self, value: Any) -> tuple[Content, ...]:
        """Return the content blocks of a value without a schema."""
        if value is None:
            return ()
        if isinstance(value, str):
            return (Text(value),)
        if isinstance(value, BLOCKS):
            return (value,)
        if isinstance(value, list | tuple | Iterator):
            value = list(value)
            are_blocks = not self._is_open or not value or any(isinstance(each, BLOCKS) for each in value)
            if are_blocks and all(isinstance(each, (str, *BLOCKS)) for each in value):
                return tuple(Text(each) if isinstance(each, str) else each for each in value)
        try:
            return (Text(_json(value)),)
        except (PydanticSerializationError, UnicodeDecodeError) as problem:
            raise OutputMismatch(f"{self._owner}: the value is no JSON ({problem}); {_ADVICE}") from None

    def _complete(self, result: ToolResult) -> ToolResult:
        """Convert the structured part to JSON types and validate it; add it as text if there is no other content."""
        content = with_true_types(result.content)
        if self._adapter is None or result.structured is ABSENT:
            return ToolResult(content, result.structured, result.is_error, result.meta)
        try:
            plain = self._adapter.dump_python(result.structured, mode="json", by_alias=True, warnings=False)
        except (PydanticSerializationError, UnicodeDecodeError) as problem:
            raise OutputMismatch(f"{self._owner}: the value is no JSON ({problem}); {_ADVICE}") from None
        structured = {_WRAPPER: plain} if self._wrapped else plain
        assert self._compiled is not None
        if not self._compiled.accepts(structured):
            raise OutputMismatch(f"{self._owner}: {self._compiled.problems(structured)}")
        return ToolResult(content or (Text(_json(plain)),), structured, result.is_error, result.meta)


def _is_object(schema: Mapping[str, Any]) -> bool:
    """Return whether the schema describes an object; the schema of a recursive model is in `$defs`."""
    if "$ref" in schema:
        return bool(schema.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}).get("type") == "object")
    return schema.get("type") == "object"


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", None)
    wrapped: dict[str, Any] = {"type": "object", "properties": {_WRAPPER: schema}, "required": [_WRAPPER]}
    if definitions is not None:
        wrapped["$defs"] = definitions
    return wrapped


def _json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON; halves of surrogate pairs become U+FFFD."""
    try:
        return to_json(value, indent=indent).decode()
    except ValueError:
        whole = with_whole_characters(value)
        if whole == value:
            raise
        return to_json(whole, indent=indent).decode()


def resource_contents(value: Any, uri: str, mime_type: str | None) -> tuple[ResourceContents, ...]:
    """Return the contents for a resource function's return value: text, bytes, contents, or a value sent as JSON."""
    if isinstance(value, _CONTENTS):
        return (true_contents(value),)
    if isinstance(value, list | tuple) and value and all(isinstance(part, _CONTENTS) for part in value):
        return tuple(map(true_contents, value))
    if isinstance(value, str):
        return (TextContents(uri, value, mime_type or "text/plain"),)
    if isinstance(value, bytes):
        return (true_contents(BlobContents(uri, value, mime_type or "application/octet-stream")),)
    return (TextContents(uri, _json(value, indent=2), mime_type or "application/json"),)


def rendered_prompt(value: Any, description: str | None) -> RenderedPrompt:
    """Return the rendered prompt for a prompt function's return value: text, a message, several, or the result."""
    if isinstance(value, str):
        return RenderedPrompt((PromptMessage("user", Text(value)),), description)
    if isinstance(value, RenderedPrompt):
        return replace(value, messages=tuple(map(_true_message, value.messages)))
    messages = (value,) if isinstance(value, PromptMessage) else value
    return RenderedPrompt(tuple(map(_true_message, messages)), description)


def _true_message(message: PromptMessage) -> PromptMessage:
    (content,) = with_true_types([message.content])
    return message if content is message.content else replace(message, content=content)
