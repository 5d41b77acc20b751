"""Defaults: checks those of a class or an argument model against their types, and converts them for schemas.

Pydantic uses the defaults of a class without validation. Knows no tool and no form.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from tfo_mcp.plugins.problems import json_type
from tfo_mcp.plugins.schemas import CompiledSchema

_PLAIN = frozenset({"type", "default", "description", "title"})


def wrong_default(error: ValidationError, of: tuple[str, ...] = ()) -> str | None:
    """Return which default an error of a validation without values is about, and why; None if about none.

    Args:
        of: the name of the field, if its default alone was validated.
    """
    for problem in error.errors(include_url=False, include_input=False):
        place = (*of, *problem["loc"])
        if not place or (not of and len(place) == 1 and problem["type"] == "missing"):
            continue  # of the class as a whole, or a field without a default
        where = f"{'.'.join(map(str, place))}: " if len(place) > 1 else ""
        return f"the default of {place[0]!r} does not fit its type: {where}{problem['msg']}"
    return None


@lru_cache(maxsize=256)
def wrong_default_of(form: type) -> str | None:
    """Return which default of a dataclass or pydantic model does not fit its type, and why; None if all fit."""
    try:
        for name, kind, default in _unvalidated_defaults(form):
            try:
                TypeAdapter(kind).validate_python(default, strict=True)
            except ValidationError as error:
                return wrong_default(error, (name,))
        TypeAdapter(form).validate_python({})
    except ValidationError as error:
        return wrong_default(error)
    except Exception:  # of the class's own code, which has more to say when there are values
        return None
    return None


def _unvalidated_defaults(form: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and default of the fields whose default is used as it is."""
    described: Mapping[str, FieldInfo] | None = getattr(form, "__pydantic_fields__", None)
    if described is not None:
        settings = form.model_config if issubclass(form, BaseModel) else form.__pydantic_config__
        for name, one in described.items():
            is_validated = settings.get("validate_default") if one.validate_default is None else one.validate_default
            if not one.is_required() and not is_validated:
                kind = Annotated[(one.annotation, *one.metadata)] if one.metadata else one.annotation
                yield name, kind, one.get_default(call_default_factory=True, validated_data={})
    elif is_dataclass(form):
        types = get_type_hints(form, include_extras=True)
        for field in fields(form):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if default is not MISSING:
                yield field.name, types[field.name], default


def with_fitting_defaults(schema: Mapping[str, Any], converted: Callable[[str], Any]) -> dict[str, Any]:
    """Return an object schema whose properties have no default that they do not accept.

    Args:
        schema: the schema of a signature.
        converted: returns the default of a property, converted to its type.
    """
    properties = dict(schema["properties"])
    for name, one in properties.items():
        if "default" not in one or _plainly_fits(one["default"], one):
            continue
        compiled = CompiledSchema({**one, "$defs": schema.get("$defs", {})}, name)
        if not compiled.accepts(one["default"]):
            properties[name] = {keyword: value for keyword, value in one.items() if keyword != "default"}
            default = to_jsonable_python(converted(name), fallback=lambda _: None)
            if compiled.accepts(default):
                properties[name]["default"] = default
    return {**schema, "properties": properties}


def _plainly_fits(default: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a schema accepts a default by its type alone; saves most compilations."""
    kind = json_type(default)
    if kind == "null":
        return {"type": kind} in schema.get("anyOf", ())
    return schema.get("type") == kind and schema.keys() <= _PLAIN
