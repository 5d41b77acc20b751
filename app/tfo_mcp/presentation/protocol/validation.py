"""Validation of params and results against the official MCP types of each revision.

Results are also reduced to the fields that the revision defines, and encoded. Validators are cached per method and
revision, since every call needs two. The types have no length limits, so this module limits URIs, cursors and tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from mcp_types.methods import CLIENT_REQUESTS, SERVER_RESULTS
from pydantic import TypeAdapter, ValidationError, create_model

from tfo_mcp.domain.text import shortened
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

_MOST_PROBLEMS = 3
_URI = ((("uri",), URI_LIMIT),)
_CURSOR = ((("cursor",), CURSOR_LIMIT),)
_LENGTHS: Mapping[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    "tools/list": _CURSOR,
    "prompts/list": _CURSOR,
    "resources/list": _CURSOR,
    "resources/templates/list": _CURSOR,
    "resources/read": _URI,
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

Check = Callable[..., object]


class InvalidShape(Exception):
    """Params do not match their method's schema; `in_meta` if only the metadata is invalid."""

    def __init__(self, problems: str, *, in_meta: bool = False) -> None:
        super().__init__(f"Invalid params: {problems}")
        self.in_meta = in_meta


def check_request(request: Request, revision: Revision) -> None:
    """Check the request's params against the method's schema. Product-specific methods have no schema.

    Raises:
        InvalidShape: the params are invalid; the message says where and why, and contains no values.
    """
    check = _request_check(request.method, revision.version)
    if check is None:
        return
    params = request.params
    if "inputResponses" in params and len(mapping(params["inputResponses"])) > RESPONSES_LIMIT:
        raise InvalidShape(f"inputResponses: at most {RESPONSES_LIMIT}")
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 0, "method": request.method}
    if params:
        body["params"] = params
    try:
        check(body, by_name=False)
    except ValidationError as problem:
        raise _invalid(problem) from None
    if "_meta" in params:
        _check_token(params["_meta"].get("progressToken"))
    if request.method in _LENGTHS:
        _check_lengths(request.method, params)


def _invalid(problem: ValidationError) -> InvalidShape:
    errors = problem.errors(include_url=False, include_input=False, include_context=False)
    clauses = [
        f"{shortened('.'.join(str(part) for part in error['loc'] if part != 'params')) or 'params'}: {error['msg']}"
        for error in errors[:_MOST_PROBLEMS]
    ]
    return InvalidShape("; ".join(clauses), in_meta=all("_meta" in error["loc"] for error in errors))


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
    """Return the result as compact JSON, without fields that the revision does not define.

    Raises:
        pydantic.ValidationError: the result does not match the method's schema in the revision: a server bug.
    """
    asks = result.get("resultType") == "input_required"
    adapter = _result_adapter(method, revision.version, asks, _is_text_only(result))
    if adapter is None:  # a product-specific method
        return jsonrpc.encode_value(result)
    checked = adapter.validator.validate_python(result, by_name=False)
    return adapter.serializer.to_json(checked, by_alias=True, exclude_unset=True)


@cache
def _request_check(method: str, version: str) -> Check | None:
    surface = CLIENT_REQUESTS.get((method, version))
    return None if surface is None else surface.__pydantic_validator__.validate_python


def _is_text_only(result: Mapping[str, Any]) -> bool:
    content = result.get("content")
    return content is not None and len(content) == 1 and content[0]["type"] == "text"


@cache
def _result_adapter(method: str, version: str, asks: bool, text_only: bool) -> TypeAdapter[Any] | None:
    """Return the adapter of a method's result type, None for product-specific methods.

    For a union the matching member is chosen in advance: input-required or complete, and text-only for the common
    results that consist of one text block. Trying every member costs more than all other checks.
    """
    surface: Any = SERVER_RESULTS.get((method, version))
    for arm in get_args(surface):
        if (arm.__name__ == "InputRequiredResult") == asks:
            surface = arm
    if text_only:
        blocks = get_args(surface.model_fields["content"].annotation)[0]
        text = next(block for block in _members(blocks) if block.__name__ == "TextContent")
        surface = create_model("TextResult", __base__=surface, content=(list[text], ...))  # type: ignore[valid-type]
    return None if surface is None else TypeAdapter(surface)


def _members(union: Any) -> tuple[Any, ...]:
    """Return the members of a union or of a named alias of a union."""
    return get_args(getattr(union, "__value__", union))
