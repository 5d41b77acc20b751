"""JSON Schema: generated from types by pydantic, compiled once and validated by jsonschema-rs.

The default dialect is 2020-12; a schema may name another supported one (drafts 4, 6, 7, 2019-09). References to other
documents are rejected and never fetched (MCP specification, basic, $ref Resolution).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jsonschema_rs
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins.problems import Problem, listed, missing
from tfo_mcp.plugins.schema_errors import problems_of

_NOT_IN_NAMES = re.compile("[^a-zA-Z0-9.\\-_]")  # pydantic replaces these characters in the name of a definition
_SMALL_VALUES, _SMALL_CHARACTERS = 1000, 64 * 1024
_OF_PROPERTIES = ("$schema", "$defs", "definitions", "properties", "patternProperties", "additionalProperties")
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


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: Any) -> JsonSchemaValue:
        """Leave out the `discriminator`: each alternative has its tag, and JSON Schema has no such keyword."""
        union = super().tagged_union_schema(schema)
        union.pop("discriminator", None)
        return union


def schema_of(adapter: TypeAdapter[Any], mode: JsonSchemaMode) -> dict[str, Any]:
    """Return the adapter's JSON Schema, without the titles that pydantic derives from names."""
    schema = adapter.json_schema(mode=mode, schema_generator=_Generator)
    schema.pop("title", None)
    for name, definition in schema.get("$defs", {}).items():
        if f"__{name}".endswith("__" + _NOT_IN_NAMES.sub("_", definition.get("title", ""))):
            definition.pop("title", None)
    return schema


class CompiledSchema:
    """A compiled JSON Schema that validates values; `owner` names the definition in error messages.

    The dialects leave it open whether formats are checked: `checks_formats` checks them.

    Raises:
        InvalidDefinition: the schema is invalid, names an unsupported dialect, or refers to another document.
    """

    def __init__(self, schema: Mapping[str, Any], owner: str, *, checks_formats: bool = False) -> None:
        dialect = schema.get("$schema", _DEFAULT_DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
            raise InvalidDefinition(f"{owner}: the schema dialect {dialect!r} is not supported; use {_DEFAULT_DIALECT}")
        try:
            self._schema = dict(schema)
            self._formats = True if checks_formats else None  # None: as the dialect says
            self._validator = jsonschema_rs.validator_for(
                self._schema, retriever=_refuse, validate_formats=self._formats
            )
        except (ValueError, TypeError) as problem:
            reason = str(problem).partition("\n")[0]
            raise InvalidDefinition(f"{owner}: the schema is not valid: {reason}") from None

    @cached_property
    def _masked(self) -> "jsonschema_rs.Validator":
        """The validator whose errors do not quote values; most schemas never need it."""
        return jsonschema_rs.validator_for(
            self._schema, retriever=_refuse, mask="the value", validate_formats=self._formats
        )

    def accepts(self, value: object) -> bool:
        """Return whether the value is valid."""
        return self._validator.is_valid(value)

    def problems(self, value: object) -> str:
        """Return the problems of an invalid value as text: where, what was expected, and what came."""
        return listed(self.list_problems(value))

    def list_problems(self, value: object) -> list[Problem]:
        """Return the problems of an invalid value."""
        if _is_small(value):
            return problems_of(self._masked.iter_errors(value), self._schema)
        found = self._problems_by_property(value) if isinstance(value, Mapping) else []
        return found or problems_of(_first(self._masked, value), self._schema)

    def _problems_by_property(self, value: Mapping[str, Any]) -> list[Problem]:
        """Return the problems of the properties of a large object.

        Each large property is validated alone, and only its first problem is reported: the library would collect all
        of them, each with a copy of the value.
        """
        alone = {keyword: self._schema[keyword] for keyword in _OF_PROPERTIES if keyword in self._schema}
        validator = jsonschema_rs.validator_for(alone, retriever=_refuse, mask="the value")
        named, required = self._schema.get("properties", {}), self._schema.get("required", ())
        absent = [missing((name,), named.get(name), self._schema) for name in required if name not in value]
        small = {name: child for name, child in value.items() if _is_small(child)}
        if not _is_small(small):
            return []
        found = problems_of(validator.iter_errors(small), self._schema)
        for name, child in value.items():
            if name not in small:
                found += problems_of(_first(validator, {name: child}), self._schema)
        return absent + found


def _first(validator: "jsonschema_rs.Validator", value: object) -> list[jsonschema_rs.ValidationError]:
    """Return the first error of a value, none for a valid one."""
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


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


def _refuse(uri: str) -> Any:
    raise ValueError(f"references to other documents are not fetched: {uri}")
