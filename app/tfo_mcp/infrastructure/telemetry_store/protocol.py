"""The protocol between servers and the store process: frames on a Unix socket.

A frame is two lengths (4 bytes each, big-endian), a JSON header and a payload of bytes. A request names the protocol's
version, a method and its arguments; the answer is a result or an error. Records of the port are JSON objects with their
class and the values of their fields, so that no two forms can be confused. Owns the version: change it with any form.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic_core import from_json, to_json

from tfo_mcp.application.ports import telemetry_metrics, telemetry_query, telemetry_store

PROTOCOL = 2
LENGTHS = 8
MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
_PLAIN = frozenset({str, bool, int, float})
"""Types that are the same as JSON; series have hundreds of thousands of them."""
_CLASS, _FIELDS, _MAP = "class", "fields", "map"
_RECORDS: Mapping[str, type] = {
    name: found
    for module in (telemetry_query, telemetry_metrics, telemetry_store)
    for name, found in vars(module).items()
    if isinstance(found, type) and dataclasses.is_dataclass(found)
}
_FIELD_NAMES: Mapping[type, tuple[str, ...]] = {
    record: tuple(field.name for field in dataclasses.fields(record)) for record in _RECORDS.values()
}


class ProtocolError(Exception):
    """A frame does not follow the protocol."""


def frame(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Return a frame.

    Raises:
        ProtocolError: it would be larger than a frame may be.
    """
    encoded = to_json(header, inf_nan_mode="constants")
    if len(encoded) > MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise ProtocolError("the message is too large")
    return len(encoded).to_bytes(4, "big") + len(payload).to_bytes(4, "big") + encoded + payload


def lengths_of(start: bytes) -> tuple[int, int]:
    """Return the lengths of the header and of the payload from the first 8 bytes of a frame.

    Raises:
        ProtocolError: it is too large.
    """
    header, payload = int.from_bytes(start[:4], "big"), int.from_bytes(start[4:], "big")
    if header > MAX_HEADER_BYTES or payload > MAX_PAYLOAD_BYTES:
        raise ProtocolError("the message is too large")
    return header, payload


def header_of(encoded: bytes) -> Mapping[str, Any]:
    """Return the header of a frame.

    Raises:
        ProtocolError: it is not a JSON object.
    """
    try:
        header = from_json(encoded)
    except ValueError:
        raise ProtocolError("the header is no JSON") from None
    if not isinstance(header, dict):
        raise ProtocolError("the header is no object")
    return header


def encoded(value: object) -> object:
    """Return a value of the port as plain JSON."""
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    names = _FIELD_NAMES.get(type(value))
    if names is not None:
        return {_CLASS: type(value).__name__, _FIELDS: [encoded(getattr(value, name)) for name in names]}
    if isinstance(value, Mapping):
        return {_MAP: dict(value)}
    if isinstance(value, Sequence):
        return [item if type(item) in _PLAIN else encoded(item) for item in value]
    raise ProtocolError(f"a {type(value).__name__} cannot be sent")


def decoded(value: Any) -> Any:
    """Return the value of the port that plain JSON stands for; sequences become tuples.

    Raises:
        ProtocolError: it is not such JSON.
    """
    if isinstance(value, list):
        return tuple([item if type(item) in _PLAIN else decoded(item) for item in value])
    if not isinstance(value, dict):
        return value
    if _MAP in value:
        return value[_MAP]
    record = _RECORDS.get(value.get(_CLASS, ""))
    if record is None:
        raise ProtocolError("an unknown record")
    try:
        return record(*(decoded(item) for item in value[_FIELDS]))
    except (LookupError, TypeError, ValueError):
        raise ProtocolError(f"a {record.__name__} has other fields") from None
