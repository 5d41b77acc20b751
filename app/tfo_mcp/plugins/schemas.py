"""JSON Schema: generated from types by pydantic, compiled once and validated by jsonschema-rs.

The default dialect is 2020-12; a schema may name another supported one (drafts 4, 6, 7, 2019-09). References to other
documents are rejected and never fetched (MCP specification, basic, $ref Resolution).
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.text import shortened

MOST_PROBLEMS = 5
"""Maximum number of problems that are reported for one value."""
_SMALL_VALUES, _SMALL_CHARACTERS = 1000, 64 * 1024
MESSAGE_LIMIT = 300
"""Maximum characters of one problem's message, which may quote the value."""
_DEFAULT_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIALECTS = frozenset(
    {
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-04/schema",
    }
)


class _WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(adapter: TypeAdapter[Any], mode: JsonSchemaMode) -> dict[str, Any]:
    """Return the adapter's JSON Schema, without the titles that pydantic derives from names."""
    schema = adapter.json_schema(mode=mode, schema_generator=_WithoutTitles)
    schema.pop("title", None)
    return schema


class CompiledSchema:
    """A compiled JSON Schema that validates values; `owner` names the definition in error messages.

    Raises:
        InvalidDefinition: the schema is invalid, names an unsupported dialect, or refers to another document.
    """

    def __init__(self, schema: Mapping[str, Any], owner: str) -> None:
        dialect = schema.get("$schema", _DEFAULT_DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
            raise InvalidDefinition(f"{owner}: the schema dialect {dialect!r} is not supported; use {_DEFAULT_DIALECT}")
        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
            self._masked = jsonschema_rs.validator_for(dict(schema), retriever=_refuse, mask="the value")
        except (ValueError, TypeError) as problem:
            reason = str(problem).partition("\n")[0]
            raise InvalidDefinition(f"{owner}: the schema is not valid: {reason}") from None

    def accepts(self, value: object) -> bool:
        """Return whether the value is valid."""
        return self._validator.is_valid(value)

    def problems(self, value: object) -> str:
        """Return the problems of an invalid value as text, each with the path to it.

        For large values only the first problem is reported, without quoting values. Otherwise the library would
        collect and quote all of them.
        """
        if _is_small(value):
            return "; ".join(_describe(error) for error in islice(self._validator.iter_errors(value), MOST_PROBLEMS))
        try:
            self._masked.validate(value)
        except jsonschema_rs.ValidationError as error:
            return _describe(error)
        return ""


def _is_small(value: object) -> bool:
    """Return whether a value has few elements and little text; stops at the limit."""
    waiting, values, characters = [value], 0, 0
    while waiting and values <= _SMALL_VALUES and characters <= _SMALL_CHARACTERS:
        item = waiting.pop()
        if isinstance(item, str):
            characters += len(item)
            continue
        if isinstance(item, Mapping):
            characters += sum(map(len, item))
            waiting.extend(item.values())
        elif isinstance(item, Sequence):
            waiting.extend(item)
        values += len(item) if isinstance(item, Mapping | Sequence) else 0
    return not waiting and values <= _SMALL_VALUES and characters <= _SMALL_CHARACTERS


def _describe(error: jsonschema_rs.ValidationError) -> str:
    path = shortened(".".join(str(part) for part in error.instance_path))
    message = shortened(error.message, MESSAGE_LIMIT)
    return f"{path}: {message}" if path else message


def _refuse(uri: str) -> Any:
    raise ValueError(f"references to other documents are not fetched: {uri}")
