"""Validation of params, results, and answers to questions with schemas generated from the official MCP types.

The schemas are data of this package (`make schemas`), and compiled at the first use of a method: importing the models
would take a third of the start-up time. They have no length limits, so this module limits URIs, cursors and tokens.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins.schemas import CompiledSchema
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.message_limits import (
    CURSOR_LIMIT,
    ID_LIMIT,
    RESPONSES_LIMIT,
    SUBSCRIPTIONS_CHARACTERS,
    SUBSCRIPTIONS_LIMIT,
    URI_LIMIT,
)
from tfo_mcp.presentation.protocol.rendering import mapping
from tfo_mcp.presentation.protocol.revisions import Revision

_URI = ((("uri",), URI_LIMIT),)
_CURSOR = ((("cursor",), CURSOR_LIMIT),)
_LENGTHS: Mapping[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    "tools/list": _CURSOR,
    "prompts/list": _CURSOR,
    "resources/list": _CURSOR,
    "resources/templates/list": _CURSOR,
    "resources/read": _URI,
    "resources/directory/read": (*_URI, *_CURSOR),
    "skills/list": _CURSOR,
    "skills/get": _URI,
    "resources/subscribe": _URI,
    "resources/unsubscribe": _URI,
    "completion/complete": (
        (("ref", "uri"), URI_LIMIT),
        (("ref", "name"), URI_LIMIT),
        (("argument", "name"), URI_LIMIT),
        (("argument", "value"), URI_LIMIT),
    ),
    "subscriptions/listen": (),
}
"""Maximum characters of string params, by method and path in the params."""


_ALIKE = {
    "skills/list": ("resources/list",),
    "skills/get": ("resources/read",),
    "resources/directory/read": ("resources/read", "resources/list"),
}
"""Methods of extensions, which the official types lack: their params match the schemas of these methods."""


_NUMBER_LIMITS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_LIST_LIMITS = {"minItems", "maxItems", "uniqueItems"}
_FIELD_LIMITS = {"type", "minLength", "maxLength", "pattern", "format", *_NUMBER_LIMITS, *_LIST_LIMITS}
"""Keywords of a field in a form, without its choices."""


class InvalidShape(Exception):
    """Params do not match their method's schema; `in_meta` if only the metadata is invalid."""

    def __init__(self, problems: str, *, in_meta: bool = False) -> None:
        super().__init__(f"Invalid params: {problems}")
        self.in_meta = in_meta


def check_request(request: Request, revision: Revision) -> None:
    """Check the request's params against the method's schema. Product-specific methods have no schema.

    Raises:
        InvalidShape: the params are invalid; the message says where and why.
    """
    group = "handshake requests" if revision.handshake else "stateless requests"
    params = request.params
    if "inputResponses" in params and len(mapping(params["inputResponses"])) > RESPONSES_LIMIT:
        raise InvalidShape(f"inputResponses: at most {RESPONSES_LIMIT}")
    for method in _ALIKE.get(request.method, (request.method,)):
        schema = _schema(group, method)
        if schema is None:
            return
        if not schema.accepts(params):
            in_meta = _schema_without_meta(group, method).accepts(params)
            raise InvalidShape(schema.problems(params), in_meta=in_meta)
    if "_meta" in params:
        _check_token(mapping(params["_meta"]).get("progressToken"))
    if request.method in _LENGTHS:
        _check_lengths(request.method, params)


def _check_token(token: object) -> None:
    if isinstance(token, str) and len(token) > ID_LIMIT:
        raise InvalidShape(f"_meta.progressToken: at most {ID_LIMIT} characters", in_meta=True)


def _check_lengths(method: str, params: Mapping[str, Any]) -> None:
    for path, limit in _LENGTHS[method]:
        value: Any = params
        for step in path:
            value = mapping(value).get(step)
        if isinstance(value, str) and len(value) > limit:
            raise InvalidShape(f"{'.'.join(path)}: at most {limit} characters")
    if method == "subscriptions/listen":
        _check_subscriptions(mapping(params.get("notifications")).get("resourceSubscriptions") or ())


def _check_subscriptions(uris: Sequence[str]) -> None:
    if len(uris) > SUBSCRIPTIONS_LIMIT:
        raise InvalidShape(f"notifications.resourceSubscriptions: at most {SUBSCRIPTIONS_LIMIT} URIs")
    if any(len(uri) > URI_LIMIT for uri in uris):
        raise InvalidShape(f"notifications.resourceSubscriptions: at most {URI_LIMIT} characters in a URI")
    if sum(map(len, uris)) > SUBSCRIPTIONS_CHARACTERS:
        raise InvalidShape(f"notifications.resourceSubscriptions: at most {SUBSCRIPTIONS_CHARACTERS} characters")


def encode_result(method: str, revision: Revision, result: Mapping[str, Any]) -> bytes:
    """Return the result as compact JSON.

    Raises:
        ValueError: the result does not match the method's schema in the revision, or contains something that JSON
            cannot represent: a defect of the server or of a plugin.
    """
    check_result(method, revision, result)
    return jsonrpc.encode_value(result)


def check_result(method: str, revision: Revision, result: Mapping[str, Any]) -> None:
    """Check a result against the method's schema. Product-specific methods have no schema.

    Raises:
        ValueError: it does not match the schema; the message says where and why.
    """
    asks = result.get("resultType") == "input_required"
    group = "handshake results" if revision.handshake else "stateless results"
    schema = _schema(group, "input_required" if asks else method)
    plain = {name: value for name, value in result.items() if name != "structuredContent"}  # any JSON, may be large
    if schema is not None and not schema.accepts(plain):
        raise ValueError(f"The result of {method} is invalid: {schema.problems(plain)}")


def check_answer(method: str, answer: object) -> Mapping[str, Any]:
    """Return the client's answer to a question, given the method of its request.

    Raises:
        InvalidShape: it does not match the method's schema.
    """
    schema = _schema("answers", method)
    assert schema is not None
    if not isinstance(answer, dict) or not schema.accepts(answer):
        raise InvalidShape(schema.problems(answer))
    return answer


def field_check(name: str, schema: Mapping[str, Any]) -> Callable[[object], str]:
    """Return a function that returns the problems of a value for a field of a form; a valid value has no text.

    Raises:
        ValueError: the schema is invalid.
    """
    limits = {keyword: value for keyword, value in schema.items() if keyword in _FIELD_LIMITS}
    try:
        compiled = CompiledSchema(limits, f"Field {name!r}", checks_formats=True)
    except InvalidDefinition as problem:
        raise ValueError(str(problem)) from None
    return lambda value: "" if compiled.accepts(value) else compiled.problems(value)


@cache
def _schema(group: str, method: str) -> CompiledSchema | None:
    """Return the schema of a request's params, of its result or of an answer; None for product-specific methods."""
    schemas = _data()[group]
    schema = schemas["methods"].get(method)
    return None if schema is None else CompiledSchema({"$defs": schemas["$defs"], **schema}, method)


@cache
def _schema_without_meta(group: str, method: str) -> CompiledSchema:
    """Return the schema of params without their metadata."""
    schemas = _data()[group]
    definitions = {
        name: {**shape, "properties": {**shape.get("properties", {}), "_meta": True}}
        for name, shape in schemas["$defs"].items()
    }
    return CompiledSchema({"$defs": definitions, **schemas["methods"][method]}, method)


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(files(__package__).joinpath("schemas.json").read_bytes())
    return data
