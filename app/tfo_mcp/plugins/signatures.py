"""BoundFunction: wraps a typed function, so that it can be called with a mapping of arguments and a request.

Owns the conversion of a signature to an argument model, and the injection of the context parameter. Knows no tools,
resources or prompts: `decorators` does.
"""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from keyword import iskeyword
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins.calls import AsyncCall, call_in_thread
from tfo_mcp.plugins.context import Context, SyncContext
from tfo_mcp.plugins.conversion_errors import conversion_problems
from tfo_mcp.plugins.defaults import with_fitting_defaults, wrong_default
from tfo_mcp.plugins.functions import require_function, type_hints
from tfo_mcp.plugins.problems import Problem, listed, unknown
from tfo_mcp.plugins.schemas import schema_of

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class BoundFunction:
    """A function with its argument model.

    A parameter like `from_` is the argument `from`, whose name is a keyword of Python.

    `parameters` are the names of the parameters without the context, `required` those without a default. `closed`
    rejects unknown arguments instead of ignoring them; `owner` names the definition in error messages.
    """

    def __init__(self, function: Callable[..., Any], owner: str, *, closed: bool = True) -> None:
        require_function(function, owner)
        self._function = function
        self._owner = owner
        self._is_async = inspect.iscoroutinefunction(function)
        hints = type_hints(function, owner)
        self.returns: Any = hints.pop("return", Any)
        self._context_name: str | None = None
        self._context_type: type[Context] | type[SyncContext] = Context
        fields: dict[str, Any] = {}
        python_names: dict[str, str] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in _NAMED:
                raise InvalidDefinition(f"{owner}: parameter {name!r} must accept a keyword argument")
            kind = hints.get(name, Any)
            if kind in (Context, SyncContext):
                self._take_context(owner, name, kind)
            else:
                python_names[_published(name)] = name
                fields[_published(name)] = (kind, ... if parameter.default is parameter.empty else parameter.default)
        self.parameters = tuple(fields)
        self.required = frozenset(name for name, (_, default) in fields.items() if default is ...)
        named = {_field_name(name): python_name for name, python_name in python_names.items()}
        self._renamed = {field: name for field, name in named.items() if field != name}
        self._fields = fields
        self._model = _argument_model(owner, fields, closed=closed)
        self._require_fitting_defaults(owner)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments, an object schema.

        Raises:
            InvalidDefinition: the type of a parameter has none.
        """
        try:
            schema = schema_of(TypeAdapter(self._model), "validation")
        except PydanticUserError as problem:
            raise _without_schema(self._owner, self._fields, problem) from None
        schema.setdefault("properties", {})
        return with_fitting_defaults(schema, self._converted_default)

    @cached_property
    def _explaining(self) -> Mapping[str, Any]:
        """The schema that error messages take the expected types from; generating it costs milliseconds."""
        try:
            return self.schema()
        except InvalidDefinition:  # a type without a JSON Schema, in a tool with a schema of its own
            return {}

    def convert(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments converted to the function's types, with defaults filled in.

        Raises:
            ValueError: an argument is missing or cannot be converted; the message says which and why.
        """
        try:
            validated = self._model.__pydantic_validator__.validate_python(arguments)
        except ValidationError as problem:
            raise ValueError(listed(self._problems(problem, arguments))) from None
        values: dict[str, Any] = validated.__dict__
        return {self._renamed.get(name, name): value for name, value in values.items()} if self._renamed else values

    def further_problems(self, arguments: Mapping[str, Any], problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems of converting those arguments in which the schema has found no problems."""
        found = {step for problem in problems for step in problem.path[:1]}
        fitting = {name: value for name, value in arguments.items() if name not in found}
        try:
            self._model.__pydantic_validator__.validate_python(fitting)
        except ValidationError as error:
            return [one for one in conversion_problems(error, self._explaining) if one.path[0] in fitting]
        except Exception:  # a validator of the plugin fails; the call is refused anyway
            return []
        return []

    def _problems(self, error: ValidationError, arguments: Mapping[str, Any]) -> list[Problem]:
        problems = conversion_problems(error, self._explaining)
        if any(one["type"] == "missing" for one in error.errors()):  # possibly given by a wrong name
            known = [name for name in self.parameters if name not in arguments]
            problems += unknown((), [name for name in arguments if name not in self.parameters], known)
        return problems

    @property
    def takes_context(self) -> bool:
        """Whether the function has a parameter for the context."""
        return self._context_name is not None

    async def call(self, arguments: Mapping[str, Any], request: RequestContext) -> Any:
        """Run the function with converted `arguments` and return its result; plain functions run in a thread."""
        if self._is_async:
            if self._context_name is None:
                return await AsyncCall(self._function(**arguments), request, self._owner)
            work = self._function(**arguments, **{self._context_name: Context(request)})
            return await AsyncCall(work, request, self._owner)
        extra: dict[str, Any] = {}
        if self._context_name is not None:
            context = Context(request)
            extra[self._context_name] = SyncContext(context) if self._context_type is SyncContext else context
        return await call_in_thread(partial(self._function, **arguments, **extra), request)

    def _require_fitting_defaults(self, owner: str) -> None:
        """Check the defaults, which the model validates when they are used."""
        try:
            self._model.__pydantic_validator__.validate_python({})
        except ValidationError as error:
            if (reason := wrong_default(error)) is not None:
                raise InvalidDefinition(f"{owner}: {reason}") from None

    def _converted_default(self, name: str) -> Any:
        """Return the default of a parameter as the function gets it."""
        alone = _model_of({name: self._fields[name]}, closed=True)
        return getattr(alone(), _field_name(name))

    def _take_context(self, owner: str, name: str, kind: Any) -> None:
        if self._context_name is not None:
            raise InvalidDefinition(f"{owner}: only one context parameter is allowed")
        if self._is_async and kind is SyncContext:
            raise InvalidDefinition(f"{owner}: an async function takes Context, not SyncContext")
        if not self._is_async and kind is Context:
            raise InvalidDefinition(f"{owner}: a plain function takes SyncContext, not Context")
        self._context_name = name
        self._context_type = kind


def _argument_model(owner: str, fields: Mapping[str, Any], *, closed: bool) -> type[BaseModel]:
    """Build the argument model; a parameter whose name is no valid field name gets an alias."""
    try:
        return _model_of(fields, closed=closed)
    except PydanticUserError as problem:
        raise _without_schema(owner, fields, problem) from None


def _model_of(fields: Mapping[str, Any], *, closed: bool) -> type[BaseModel]:
    named = {
        _field_name(name): (kind if _field_name(name) == name else typing.Annotated[kind, Field(alias=name)], default)
        for name, (kind, default) in fields.items()
    }
    config = ConfigDict(extra="forbid" if closed else "ignore", arbitrary_types_allowed=False, validate_default=True)
    model: type[BaseModel] = create_model("Arguments", __config__=config, **named)  # type: ignore[call-overload]
    return model


def _without_schema(owner: str, fields: Mapping[str, Any], problem: PydanticUserError) -> InvalidDefinition:
    """Return the error about the parameter whose type has no JSON Schema."""
    for name, field in fields.items():
        try:
            schema_of(TypeAdapter(_model_of({name: field}, closed=True)), "validation")
        except PydanticUserError as own:
            reason = str(own).partition("\n")[0].partition(". Set `")[0]  # without pydantic's own advice
            advice = "use a type of values, such as str, list[int] or a dataclass"
            return InvalidDefinition(f"{owner}: parameter {name!r} has no JSON Schema: {reason}; {advice}")
    return InvalidDefinition(f"{owner}: the parameters have no JSON Schema: {str(problem).partition(chr(10))[0]}")


def _published(parameter: str) -> str:
    word = parameter.removesuffix("_")
    return word if iskeyword(word) else parameter


def _field_name(parameter: str) -> str:
    return f"parameter{parameter}_" if parameter.startswith("_") or hasattr(BaseModel, parameter) else parameter
