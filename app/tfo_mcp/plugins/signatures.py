"""BoundFunction: wraps a typed function, so that it can be called with a mapping of arguments and a request.

Owns the conversion of a signature to an argument model, and the injection of the context parameter. Knows no tools,
resources or prompts: `decorators` does.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.text import shortened
from tfo_mcp.plugins.calls import AsyncCall, call_in_thread
from tfo_mcp.plugins.context import Context, SyncContext
from tfo_mcp.plugins.schemas import MESSAGE_LIMIT, MOST_PROBLEMS, schema_of

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class BoundFunction:
    """A function with its argument model.

    `parameters` are the names of the parameters without the context, `required` those without a default. `closed`
    rejects unknown arguments instead of ignoring them; `owner` names the definition in error messages.
    """

    def __init__(self, function: Callable[..., Any], owner: str, *, closed: bool = True) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        hints = _type_hints(function, owner)
        self.returns: Any = hints.pop("return", Any)
        self._context_name: str | None = None
        self._context_type: type[Context] | type[SyncContext] = Context
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in _NAMED:
                raise InvalidDefinition(f"{owner}: parameter {name!r} must accept a keyword argument")
            kind = hints.get(name, Any)
            if kind in (Context, SyncContext):
                self._take_context(owner, name, kind)
            else:
                fields[name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
        self.parameters = tuple(fields)
        self.required = frozenset(name for name, (_, default) in fields.items() if default is ...)
        self._renamed = {_field_name(name): name for name in fields if _field_name(name) != name}
        self._model = _argument_model(owner, fields, closed=closed)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments, an object schema."""
        schema = schema_of(TypeAdapter(self._model), "validation")
        schema.setdefault("properties", {})
        return schema

    def convert(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments converted to the function's types, with defaults filled in.

        Raises:
            ValueError: an argument is missing or cannot be converted; the message says which and why.
        """
        try:
            validated = self._model.__pydantic_validator__.validate_python(arguments)
        except ValidationError as problem:
            raise ValueError(_describe(problem)) from None
        values: dict[str, Any] = validated.__dict__
        return {self._renamed.get(name, name): value for name, value in values.items()} if self._renamed else values

    async def call(self, arguments: Mapping[str, Any], request: RequestContext) -> Any:
        """Run the function with converted `arguments` and return its result; plain functions run in a thread."""
        if self._is_async:
            if self._context_name is None:
                return await AsyncCall(self._function(**arguments), request)
            return await AsyncCall(self._function(**arguments, **{self._context_name: Context(request)}), request)
        extra: dict[str, Any] = {}
        if self._context_name is not None:
            context = Context(request)
            extra[self._context_name] = SyncContext(context) if self._context_type is SyncContext else context
        return await call_in_thread(partial(self._function, **arguments, **extra), request)

    def _take_context(self, owner: str, name: str, kind: Any) -> None:
        if self._context_name is not None:
            raise InvalidDefinition(f"{owner}: only one context parameter is allowed")
        if self._is_async and kind is SyncContext:
            raise InvalidDefinition(f"{owner}: an async function takes Context, not SyncContext")
        if not self._is_async and kind is Context:
            raise InvalidDefinition(f"{owner}: a plain function takes SyncContext, not Context")
        self._context_name = name
        self._context_type = kind


def _type_hints(function: Callable[..., Any], owner: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as problem:
        raise InvalidDefinition(f"{owner}: a type annotation cannot be resolved: {problem}") from None


def _argument_model(owner: str, fields: Mapping[str, Any], *, closed: bool) -> type[BaseModel]:
    """Build the argument model; a parameter whose name is no valid field name gets an alias."""
    named = {
        _field_name(name): (kind if _field_name(name) == name else typing.Annotated[kind, Field(alias=name)], default)
        for name, (kind, default) in fields.items()
    }
    config = ConfigDict(extra="forbid" if closed else "ignore", arbitrary_types_allowed=False)
    try:
        model: type[BaseModel] = create_model("Arguments", __config__=config, **named)  # type: ignore[call-overload]
    except (PydanticSchemaGenerationError, PydanticUserError) as problem:
        reason = str(problem).partition("\n")[0]
        raise InvalidDefinition(f"{owner}: the parameters have no JSON Schema: {reason}") from None
    return model


def _field_name(parameter: str) -> str:
    return f"parameter{parameter}_" if parameter.startswith("_") or hasattr(BaseModel, parameter) else parameter


def _describe(problem: ValidationError) -> str:
    errors = problem.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{shortened('.'.join(str(part) for part in error['loc']))}: {shortened(error['msg'], MESSAGE_LIMIT)}"
        for error in errors[:MOST_PROBLEMS]
    )
