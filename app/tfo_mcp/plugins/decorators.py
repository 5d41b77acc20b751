"""The decorators `@tool`, `@resource` and `@prompt`, and shortcuts for prompt messages.

A decorator builds the domain entity when the module is imported, so that mistakes fail at startup. It returns the
function unchanged.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, overload

from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.content import Annotations, Content, Icon, ResourceContents, Role, Text
from tfo_mcp.domain.errors import InvalidArguments, InvalidDefinition, InvalidParams
from tfo_mcp.domain.prompt import Completer, Prompt, PromptArgument, PromptMessage, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool, ToolHints, ToolResult
from tfo_mcp.plugins.calls import AsyncCall, call_in_thread, raise_failure
from tfo_mcp.plugins.context import Context, SyncContext
from tfo_mcp.plugins.definitions import FunctionT, mark
from tfo_mcp.plugins.functions import name_of, type_hints
from tfo_mcp.plugins.portable_schemas import listed_input, portable_input
from tfo_mcp.plugins.problems import listed
from tfo_mcp.plugins.results import ToolOutput, rendered_prompt, resource_contents
from tfo_mcp.plugins.schemas import CompiledSchema
from tfo_mcp.plugins.signatures import BoundFunction

_MAX_SUGGESTIONS = 10_000

Complete = Callable[..., Iterable[str] | Awaitable[Iterable[str]]]
"""Takes the partial value and the other arguments, and optionally a context as third parameter; returns suggestions."""


@overload
def tool(name: FunctionT, /) -> FunctionT: ...
@overload
def tool(
    name: str | None = None,
    *,
    title: str | None = None,
    description: str | None = None,
    hints: ToolHints | None = None,
    scope: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | type | None = None,
    icons: Sequence[Icon] = (),
    meta: Mapping[str, Any] | None = None,
    cache: float | None = None,
) -> Callable[[FunctionT], FunctionT]: ...
def tool(
    name: Any = None,
    *,
    title: str | None = None,
    description: str | None = None,
    hints: ToolHints | None = None,
    scope: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | type | None = None,
    icons: Sequence[Icon] = (),
    meta: Mapping[str, Any] | None = None,
    cache: float | None = None,
) -> Any:
    """Turn a function into a tool; `@tool` without parentheses is the same as `@tool()`.

    Args:
        name: name of the tool; by default the function's name.
        title: display name.
        description: description for language models; by default the function's docstring.
        hints: how the tool behaves, shown to clients as annotations.
        scope: scope that network callers need to see and call the tool; by default `tools:read` if the hints say
            read-only, otherwise `tools:write`.
        input_schema: JSON Schema of the arguments; by default derived from the signature. With it, a function whose
            only parameter is called `arguments` receives all arguments as one dictionary.
        output_schema: schema or type of the structured part of results; by default derived from the return type.
            Needed for functions that return a ToolResult with structure.
        icons: icons that clients may show.
        meta: metadata for clients (`_meta`), by keys with a prefix, or `ui` for MCP Apps.
        cache: seconds for which a result is kept for equal calls, also of other callers with the same scopes. Only for
            read-only tools whose function takes no context.

    Raises:
        InvalidDefinition: at import, if the function or a schema is not supported.
    """

    if name is not None and not isinstance(name, str):
        return tool()(name)

    def decorate(function: FunctionT) -> FunctionT:
        tool_name = name or name_of(function)
        owner = f"Tool {tool_name!r}"
        bound = BoundFunction(function, owner, closed=input_schema is None)
        whole = input_schema is not None and bound.parameters == ("arguments",)
        schema = portable_input(bound.schema() if input_schema is None else input_schema)
        compiled = CompiledSchema(schema, owner)
        output = ToolOutput(bound.returns, output_schema, owner)

        async def run(arguments: Mapping[str, Any], request: RequestContext) -> ToolResult:
            if not compiled.accepts(arguments):
                problems = compiled.list_problems(arguments)
                problems += [] if whole else bound.further_problems(arguments, problems)
                raise InvalidArguments(f"Invalid arguments for {tool_name}: {listed(problems)}")
            try:
                try:
                    converted = {"arguments": dict(arguments)} if whole else bound.convert(arguments)
                except ValueError as problem:
                    raise InvalidArguments(f"Invalid arguments for {tool_name}: {problem}") from None
                return output.result(await bound.call(converted, request))
            except BaseException as problem:
                raise_failure(problem, request)

        definition = Tool(
            name=tool_name,
            run=run,
            input_schema=listed_input(schema),
            title=title,
            description=description or inspect.getdoc(function),
            output_schema=output.listed_schema,
            hints=hints,
            icons=tuple(icons),
            own_scope=scope,
            meta=meta or {},
            cache_seconds=cache,
        )
        if cache is not None and bound.takes_context:
            raise InvalidDefinition(f"{owner}: with a cache the function must not take a context, since callers differ")
        return mark(function, definition)

    return decorate


def resource(
    uri: str,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    annotations: Annotations | None = None,
    icons: Sequence[Icon] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Complete] | None = None,
    scope: str | None = None,
) -> Callable[[FunctionT], FunctionT]:
    """Turn a function into a resource, or into a resource template if `uri` contains `{variables}`.

    The function's parameters must match the variables. `complete` maps variables to functions that suggest values.
    `scope` is a scope that network callers need in addition to `resources:read`.

    Raises:
        InvalidDefinition: at import, if the URI is not supported or does not match the parameters.
    """
    if not isinstance(uri, str):
        advice = '@resource("scheme://path"), with the URI of the resource'
        raise InvalidDefinition(f"Resource {name_of(uri)!r}: write {advice}")

    def decorate(function: FunctionT) -> FunctionT:
        owner = f"Resource {uri!r}"
        bound = BoundFunction(function, owner)

        async def read(
            address: str, variables: Mapping[str, str], request: RequestContext
        ) -> tuple[ResourceContents, ...]:
            try:
                try:
                    arguments = bound.convert(variables)
                except ValueError as problem:
                    raise InvalidParams(f"Invalid URI: {problem}", uri=address) from None
                return resource_contents(await bound.call(arguments, request), address, mime_type)
            except BaseException as problem:
                raise_failure(problem, request)

        completers = _completers(complete, bound, owner)
        shown: dict[str, Any] = {
            "name": name or name_of(function),
            "read": read,
            "title": title,
            "description": description or inspect.getdoc(function),
            "mime_type": mime_type,
            "annotations": annotations,
            "icons": tuple(icons),
            "meta": meta or {},
            "own_scope": scope,
        }
        definition: Resource | ResourceTemplate
        if "{" in uri:
            definition = ResourceTemplate(uri, completers=completers, **shown)
            variables = set(definition.variables)
        else:
            definition = Resource(uri, **shown)
            variables = set()
        if variables != set(bound.parameters):
            raise InvalidDefinition(f"{owner}: the URI's variables and the function's parameters differ")
        if variables:
            bound.schema()  # types without one cannot be converted from text
        return mark(function, definition)

    return decorate


@overload
def prompt(name: FunctionT, /) -> FunctionT: ...
@overload
def prompt(
    name: str | None = None,
    *,
    title: str | None = None,
    description: str | None = None,
    icons: Sequence[Icon] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Complete] | None = None,
) -> Callable[[FunctionT], FunctionT]: ...
def prompt(
    name: Any = None,
    *,
    title: str | None = None,
    description: str | None = None,
    icons: Sequence[Icon] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Complete] | None = None,
) -> Any:
    """Turn a function into a prompt; `@prompt` without parentheses is the same as `@prompt()`.

    The function's parameters are the prompt's arguments. Clients send them as strings; parameters with a default are
    optional. The function returns text, a message or a list of messages. `complete` maps arguments to functions that
    suggest values.

    Raises:
        InvalidDefinition: at import, if the function is not supported.
    """

    if name is not None and not isinstance(name, str):
        return prompt()(name)

    def decorate(function: FunctionT) -> FunctionT:
        prompt_name = name or name_of(function)
        owner = f"Prompt {prompt_name!r}"
        bound = BoundFunction(function, owner, closed=False)
        shown = description or inspect.getdoc(function)
        properties = bound.schema()["properties"]

        async def render(arguments: Mapping[str, str], request: RequestContext) -> RenderedPrompt:
            try:
                try:
                    converted = bound.convert(arguments)
                except ValueError as problem:
                    raise InvalidParams(f"Invalid arguments for {prompt_name}: {problem}", name=prompt_name) from None
                return rendered_prompt(await bound.call(converted, request), shown)
            except BaseException as problem:
                raise_failure(problem, request)

        definition = Prompt(
            name=prompt_name,
            render=render,
            title=title,
            description=shown,
            arguments=tuple(
                PromptArgument(
                    parameter,
                    title=properties[parameter].get("title"),
                    description=properties[parameter].get("description"),
                    required=parameter in bound.required,
                )
                for parameter in bound.parameters
            ),
            icons=tuple(icons),
            meta=meta or {},
            completers=_completers(complete, bound, owner),
        )
        return mark(function, definition)

    return decorate


def user(content: str | Content) -> PromptMessage:
    """Return a prompt message from the user."""
    return _message("user", content)


def assistant(content: str | Content) -> PromptMessage:
    """Return a prompt message from the assistant."""
    return _message("assistant", content)


def _message(role: Role, content: str | Content) -> PromptMessage:
    return PromptMessage(role, Text(content) if isinstance(content, str) else content)


def _completers(functions: Mapping[str, Complete] | None, bound: BoundFunction, owner: str) -> Mapping[str, Completer]:
    unknown = set(functions or ()) - set(bound.parameters)
    if unknown:
        raise InvalidDefinition(f"{owner}: completion for unknown parameter {min(unknown)!r}")
    return {
        name: _completer(function, f"{owner}: the completion of {name!r}")
        for name, function in (functions or {}).items()
    }


def _completer(function: Complete, owner: str) -> Completer:
    if not callable(function) or inspect.isasyncgenfunction(function):
        raise InvalidDefinition(f"{owner} must be a function that returns a list of texts")
    hinted = function if hasattr(function, "__name__") else type(function).__call__  # an object that can be called
    kinds = type_hints(hinted, owner).values()

    async def complete(value: str, others: Mapping[str, str], request: RequestContext) -> Iterable[str]:
        context = Context(request)

        async def ask() -> Iterable[str]:
            found: Any = function(value, others, *([context] if Context in kinds else []))
            return _suggestions(await found)

        try:
            if inspect.iscoroutinefunction(function):
                return await AsyncCall(ask(), request, "A completion")
            extra = [SyncContext(context)] if SyncContext in kinds else []
            plain: Callable[..., Any] = function
            return await call_in_thread(lambda: _suggestions(plain(value, others, *extra)), request)
        except BaseException as problem:
            raise_failure(problem, request)

    return complete


def _suggestions(found: Iterable[str]) -> tuple[str, ...]:
    """Return the suggested values, at most 10,000, since an iterator may be infinite."""
    return tuple(islice(found, _MAX_SUGGESTIONS))
