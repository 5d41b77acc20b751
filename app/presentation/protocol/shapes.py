"""Shapes: params checked, and results checked, trimmed and written, by the official wire types of each revision.

The types' validators are taken once per method and revision: this runs twice for every call.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args

from mcp_types.methods import CLIENT_REQUESTS, SERVER_RESULTS
from pydantic import TypeAdapter, ValidationError, create_model

from app.presentation import jsonrpc
from app.presentation.jsonrpc import Request
from app.presentation.protocol.revisions import Revision

_MOST_PROBLEMS = 3

Check = Callable[..., object]


class InvalidShape(Exception):
    """Params do not have their method's shape; `in_meta` when nothing but the metadata is wrong."""

    def __init__(self, problem: ValidationError) -> None:
        errors = problem.errors(include_url=False, include_input=False, include_context=False)
        clauses = [
            f"{'.'.join(str(part) for part in error['loc'] if part != 'params') or 'params'}: {error['msg']}"
            for error in errors[:_MOST_PROBLEMS]
        ]
        super().__init__(f"Invalid params: {'; '.join(clauses)}")
        self.in_meta = all("_meta" in error["loc"] for error in errors)


def check_request(request: Request, revision: Revision) -> None:
    """Check that the request's params have the method's shape; a method of the product's own has none to check.

    Raises:
        InvalidShape: they do not; the message says where and why, and never repeats a value.
    """
    check = _request_check(request.method, revision.version)
    if check is None:
        return
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 0, "method": request.method}
    if request.params:
        body["params"] = request.params
    try:
        check(body, by_name=False)
    except ValidationError as problem:
        raise InvalidShape(problem) from None


def encode_result(method: str, revision: Revision, result: Mapping[str, Any]) -> bytes:
    """Return the result as compact JSON; fields that the revision does not know are left out.

    Raises:
        pydantic.ValidationError: the result does not have the method's shape in the revision: an error of ours.
    """
    asks = result.get("resultType") == "input_required"
    adapter = _result_adapter(method, revision.version, asks, _is_text_only(result))
    if adapter is None:  # a method of the product's own
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
    """Return the wire type of a method's results.

    Where the type is a union, its arm is chosen beforehand: a result that asks or one that answers, and text instead of
    any content block, which most results are. To try every arm costs more than all the rest of the checking.
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
    """Return what a union, or a named alias of one, is made of."""
    return get_args(getattr(union, "__value__", union))
