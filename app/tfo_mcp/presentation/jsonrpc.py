"""The JSON-RPC 2.0 codec: bytes to messages and back, without I/O.

Owns the base rules for messages (MCP specification, basic, Messages): ids are strings or integers, params are objects,
numbers are finite, and messages stay within the limits of `message_limits`. Knows no method and no protocol revision,
and does not decide whether a batch is allowed.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from tfo_mcp.domain.errors import Kind
from tfo_mcp.domain.text import with_whole_characters
from tfo_mcp.presentation.lenient_json import repair
from tfo_mcp.presentation.message_limits import BATCH_LIMIT, DEPTH_LIMIT, DIGITS_LIMIT, ID_LIMIT, excess, id_at_ends
from tfo_mcp.value_objects import value_object

RequestId = str | int

_ALIKE = bytes.maketrans(b"0123456789E", b"0" * 10 + b"e")
_HUGE_EXPONENTS = (b"0e000", b"0e+000")  # with every digit replaced by 0
_LONG_NUMBER = 200  # digits; a shorter number overflows a float only with a three-digit exponent
_SMALL_BYTES = 1024  # up to this size, scanning the bytes is cheaper than walking the parsed values
_NO_PARAMS: dict[str, Any] = {}
_EXACT_FLOAT = 2**53
_REPAIRED_BYTES = 1024 * 1024  # repairing more would hold up other clients
_BAD_ID = f"'id' must be an integer or a string of at most {ID_LIMIT} characters"
_TOO_DEEP = f"Nested deeper than {DEPTH_LIMIT} levels"


class Request(NamedTuple):
    """A request, which expects a response. A tuple for speed, since every call creates one."""

    id: RequestId
    method: str
    params: Mapping[str, Any]


@value_object
class Notification:
    """A notification, which never gets a response."""

    method: str
    params: Mapping[str, Any]


@value_object
class Response:
    """The client's response to a request that the server sent; `error` is None on success."""

    id: RequestId | None
    result: Any = None
    error: Mapping[str, Any] | None = None


@value_object
class Malformed:
    """An invalid message. `id` is the request's id if it could be read."""

    kind: Kind
    problem: str
    id: RequestId | None = None


@value_object
class Batch:
    """Several messages in one frame."""

    messages: tuple[Request | Notification | Response | Malformed, ...]


Message = Request | Notification | Response | Malformed


def decode(frame: bytes) -> Message | Batch:
    """Return the message or batch in `frame`, `Malformed` if it is invalid; never raises."""
    if len(frame) > DIGITS_LIMIT and (refused := over_limits(frame)) is not None:
        return refused
    return parse(frame)


def over_limits(frame: bytes) -> Malformed | None:
    """Return the error for a frame that exceeds the limits and must not be parsed, None if it may be parsed."""
    problem = excess(frame)
    return None if problem is None else Malformed(Kind.INVALID_REQUEST, problem, _id_at_ends(frame))


def parse(frame: bytes) -> Message | Batch:
    """Return the message or batch in a `frame` that passed `over_limits`; never raises."""
    try:
        value = from_json(frame, allow_inf_nan=False, cache_strings="none")  # a client's texts would stay in the cache
    except ValueError as problem:
        return _unparsable(frame, problem)
    if _may_be_extreme(frame) and (refusal := _extreme(value)) is not None:
        return refusal
    return _message_or_batch(value)


def id_of_unread(beginning: bytes, end: bytes = b"") -> RequestId | None:
    """Return the id of a request of which only some first and last bytes are known; None if they do not show one."""
    known = beginning + end
    return _id_at_ends(known) if b'"method"' in known else None


def encode_result(request_id: RequestId, result: bytes) -> bytes:
    """Return the frame of a success response; `result` is encoded JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_encode_id(request_id), result)


def encode_error(
    request_id: RequestId | None, code: int, message: str, data: Mapping[str, Any], *, null_id: bool
) -> bytes:
    """Return the frame of an error response. With `null_id`, an unknown id is sent as null, otherwise omitted."""
    error = to_json({"code": code, "message": message, "data": data}, inf_nan_mode="null", serialize_unknown=True)
    if request_id is not None:
        return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (_encode_id(request_id), error)
    if null_id:
        return b'{"jsonrpc":"2.0","id":null,"error":%b}' % error
    return b'{"jsonrpc":"2.0","error":%b}' % error


def encode_notification(method: str, params: Mapping[str, Any] | None = None) -> bytes:
    """Return the frame of a notification."""
    message = {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})
    return encode_value(message)


def encode_request(request_id: RequestId, method: str, params: Mapping[str, Any] | None = None) -> bytes:
    """Return the frame of a request from the server to the client."""
    message = {"jsonrpc": "2.0", "id": request_id, "method": method} | ({} if params is None else {"params": params})
    return encode_value(message)


def encode_message(message: Notification | Response) -> bytes:
    """Return the frame of a received notification or response, to relay it to another process."""
    if isinstance(message, Notification):
        return encode_notification(message.method, message.params)
    outcome = {"result": message.result} if message.error is None else {"error": message.error}
    return encode_value({"jsonrpc": "2.0", "id": message.id, **outcome})


def encode_batch(answers: list[bytes]) -> bytes:
    """Return the frame of a batch of encoded responses."""
    return b"[" + b",".join(answers) + b"]"


def encode_value(value: Any) -> bytes:
    """Return a value as compact JSON; NaN and infinities become null, and unpaired surrogates U+FFFD.

    Raises:
        ValueError: the value contains something that JSON cannot represent.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        whole = with_whole_characters(value)
        if whole == value:
            raise
        return to_json(whole, inf_nan_mode="null")


def canonical(value: Any) -> bytes:
    """Return a value as JSON with sorted object members, so that equal values have equal bytes.

    Raises:
        ValueError: as `encode_value`.
    """
    return encode_value(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _encode_id(request_id: RequestId) -> bytes:
    if isinstance(request_id, int):
        return b"%d" % request_id
    try:
        return to_json(request_id)
    except ValueError:  # half of a surrogate pair, which is sent back as it came: escaped
        return json.dumps(request_id).encode()


def _message_or_batch(value: Any) -> Message | Batch:
    if not isinstance(value, list):
        return _message(value)
    if not value:
        return Malformed(Kind.INVALID_REQUEST, "An empty batch")
    if len(value) > BATCH_LIMIT:
        return Malformed(Kind.INVALID_REQUEST, f"More than {BATCH_LIMIT} messages in one batch")
    return Batch(tuple(_message(item) for item in value))


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        return Malformed(Kind.INVALID_REQUEST, "A message must be a JSON object")
    identifier = _readable_id(value)
    if value.get("jsonrpc") != "2.0":
        return Malformed(Kind.INVALID_REQUEST, "'jsonrpc' must be \"2.0\"", identifier)
    return _request(value, identifier) if "method" in value else _response(value, identifier)


def _request(value: dict[str, Any], identifier: RequestId | None) -> Message:
    method, params = value["method"], value.get("params", _NO_PARAMS)
    if identifier is not None and isinstance(method, str) and isinstance(params, dict):
        return Request(identifier, method, params)
    if "id" in value and identifier is None:
        return Malformed(Kind.INVALID_REQUEST, _BAD_ID)
    if not isinstance(method, str):
        return Malformed(Kind.INVALID_REQUEST, "'method' must be a string", identifier)
    if identifier is None:  # a notification is never refused, so unusable params count as absent
        return Notification(method, params if isinstance(params, dict) else _NO_PARAMS)
    if params is None:
        return Request(identifier, method, _NO_PARAMS)
    return Malformed(Kind.INVALID_PARAMS, "'params' must be an object", identifier)


def _response(value: dict[str, Any], identifier: RequestId | None) -> Message:
    if "result" in value and "error" not in value and identifier is not None:
        return Response(identifier, result=value["result"])
    if "error" in value and "result" not in value:
        error = value["error"]
        return Response(identifier, error=error if isinstance(error, dict) else {})
    return Malformed(
        Kind.INVALID_REQUEST, "A message needs a 'method', or an 'id' with a 'result' or an 'error'", identifier
    )


def _readable_id(value: Any) -> RequestId | None:
    identifier = value.get("id") if isinstance(value, dict) else None
    if isinstance(identifier, str):
        return identifier if len(identifier) <= ID_LIMIT else None
    if isinstance(identifier, float) and identifier.is_integer() and abs(identifier) <= _EXACT_FLOAT:
        return int(identifier)  # JSON does not distinguish 1.0 from 1
    return identifier if isinstance(identifier, int) and not isinstance(identifier, bool) else None


def _id_at_ends(frame: bytes) -> RequestId | None:
    found = id_at_ends(frame)
    try:
        return None if found is None else _readable_id({"id": from_json(found)})
    except ValueError:
        return None


def _unparsable(frame: bytes, problem: ValueError) -> Message | Batch:
    """Return the message in a frame that the strict parser refused.

    Requests become `Malformed` under their id. Notifications and responses cannot be refused: they are repaired, unless
    they are large.
    """
    if frame.startswith(BOM_UTF8) and not frame.startswith(BOM_UTF8, len(BOM_UTF8)):
        return parse(frame.removeprefix(BOM_UTF8))
    if "recursion limit" in str(problem):
        return Malformed(Kind.INVALID_REQUEST, _TOO_DEEP, _id_at_ends(frame))
    if not frame.strip():
        return Malformed(Kind.PARSE_ERROR, "An empty message")
    repaired = repair(frame) if len(frame) <= _REPAIRED_BYTES else None
    if repaired is not None:
        return _extreme(repaired.value) or _repaired(_message_or_batch(repaired.value), repaired.problem)
    identifier = _id_at_ends(frame) if b'"method"' in frame else None
    return Malformed(Kind.PARSE_ERROR, "The message is not valid JSON of whole characters in UTF-8", identifier)


def _repaired(message: Message | Batch, problem: str) -> Message | Batch:
    if isinstance(message, Batch):
        return Batch(tuple(_refused(member, problem) for member in message.messages))
    return _refused(message, problem)


def _refused(message: Message, problem: str) -> Message:
    return Malformed(Kind.PARSE_ERROR, problem, message.id) if isinstance(message, Request) else message


def _may_be_extreme(frame: bytes) -> bool:
    """Return whether nesting may be too deep or a number may overflow a float; may return false positives."""
    if len(frame) > _SMALL_BYTES or frame.count(b"[") + frame.count(b"{") > DEPTH_LIMIT:
        return True
    alike = frame.translate(_ALIKE)
    if _HUGE_EXPONENTS[0] in alike or _HUGE_EXPONENTS[1] in alike:
        return True
    return len(frame) > _LONG_NUMBER and alike.count(b"0") > _LONG_NUMBER


def _extreme(value: Any) -> Malformed | None:
    """Return the error for a value that is nested too deep or contains a non-finite number, otherwise None."""
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        is_nested = False
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
                is_nested = True
            elif isinstance(item, list):
                inner.extend(item)
                is_nested = True
            elif isinstance(item, float) and not isfinite(item):
                return Malformed(Kind.PARSE_ERROR, "A number is too large", _readable_id(value))
        depth += is_nested
        if depth > DEPTH_LIMIT:
            return Malformed(Kind.INVALID_REQUEST, _TOO_DEEP, _readable_id(value))
        level = inner
    return None
