"""Forms: turns a dataclass or pydantic model into the flat schema of a question, and answers into objects.

A form may have strings, numbers, booleans, dates and choices: clients show one field for each. Knows no request.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from tfo_mcp.domain.errors import InvalidAnswer, InvalidDefinition
from tfo_mcp.plugins.defaults import wrong_default_of
from tfo_mcp.plugins.schemas import schema_of

_PRIMITIVES = frozenset({"string", "number", "integer", "boolean"})


def form_schema(form: type) -> dict[str, Any]:
    """Return the schema of a form: an object whose properties are primitive.

    Raises:
        InvalidDefinition: the class has no fields, a field that a form cannot have, or a default of another type.
    """
    owner = f"Form {form.__name__}"
    try:
        whole = schema_of(TypeAdapter(form), "validation")
    except PydanticUserError as problem:
        raise InvalidDefinition(f"{owner}: it has no JSON Schema: {str(problem).partition(chr(10))[0]}") from None
    definitions = whole.get("$defs", {})
    fields = whole.get("properties")
    if not fields:
        raise InvalidDefinition(f"{owner}: it is no dataclass or pydantic model with fields")
    if (reason := wrong_default_of(form)) is not None:
        raise InvalidDefinition(f"{owner}: {reason}")
    properties = {name: _field(owner, name, field, definitions) for name, field in fields.items()}
    return {"type": "object", "properties": properties, "required": list(whole.get("required", []))}


def filled_in(form: type, content: Mapping[str, Any]) -> Any:
    """Return the object that the user's content stands for.

    Raises:
        InvalidAnswer: the content does not fit the class.
    """
    try:
        return TypeAdapter(form).validate_python(content)
    except ValidationError as problem:
        (first, *_) = problem.errors(include_url=False, include_input=False)
        place = ".".join(map(str, first["loc"])) or form.__name__
        raise InvalidAnswer(f"The answer does not fit the form: {place}: {first['msg']}") from None


def _field(owner: str, name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one field: references are replaced, and null, the absence of a value, is left out."""
    found = dict(schema)
    arms = [arm for arm in found.pop("anyOf", ()) if arm.get("type") != "null"]
    if len(arms) == 1:
        found = {**arms[0], **found}
    if "$ref" in found:
        found = {**definitions.get(found.pop("$ref").rpartition("/")[2], {}), **found}
    if found.get("default", ...) is None:
        del found["default"]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    items = found.get("items")
    is_choice_of_many = found.get("type") == "array" and isinstance(items, Mapping) and "enum" in items
    if len(arms) > 1 or (found.get("type") not in _PRIMITIVES and not is_choice_of_many):
        raise InvalidDefinition(f"{owner}: field {name!r} must be a string, a number, a boolean, a date or a choice")
    return found
