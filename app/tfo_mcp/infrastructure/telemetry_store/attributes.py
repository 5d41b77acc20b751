"""Attributes of OTLP as maps of texts, within limits and without secrets.

A map holds texts only, as the tables do: numbers and Booleans in JSON's spelling, arrays and maps as JSON, bytes as
Base64. Whatever is left out is named in the map itself. Must not know signals.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from pydantic_core import to_json

from tfo_mcp.infrastructure.telemetry_store.redaction import REDACTED, Redaction

MAX_ATTRIBUTES = 256
MAX_NAME_CHARACTERS = 256
MAX_VALUE_CHARACTERS = 16 * 1024
MAX_BODY_CHARACTERS = 64 * 1024
MAX_DEPTH = 8
MAX_ITEMS = 1024
DROPPED = "tfo_mcp.dropped_attributes"
"""The attribute that counts those beyond the limit."""
_UNKNOWN_SERVICE = "unknown_service"


class AttributeReader:
    """Reads attributes and texts.

    Args:
        redaction: removes secrets.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._readers: Mapping[str, Callable[[AnyValue], str]] = {
            "string_value": lambda value: self.text(value.string_value),
            "bool_value": lambda value: "true" if value.bool_value else "false",
            "int_value": lambda value: str(value.int_value),
            "double_value": lambda value: to_json(value.double_value, inf_nan_mode="constants").decode(),
            "bytes_value": lambda value: self.text(b64encode(value.bytes_value).decode()),
            "array_value": self._nested,
            "kvlist_value": self._nested,
        }

    def map(self, attributes: Iterable[KeyValue]) -> dict[str, str]:
        """Return attributes by name; of equal names the last one counts."""
        found: dict[str, str] = {}
        dropped = 0
        hidden, redacted = self._redaction.hidden, self._redaction.redacted
        for attribute in attributes:
            name = attribute.key
            if not name or len(name) > MAX_NAME_CHARACTERS or (len(found) >= MAX_ATTRIBUTES and name not in found):
                dropped += 1
            elif hidden[name]:
                found[name] = REDACTED
            elif 0 < len(text := attribute.value.string_value) <= MAX_VALUE_CHARACTERS:  # most values: spares two calls
                found[name] = redacted[text]
            else:
                found[name] = self.value(attribute.value)
        if dropped:
            found[DROPPED] = str(dropped)
        return found

    def value(self, value: AnyValue) -> str:
        """Return a value as text; an empty one is an empty text."""
        kind = value.WhichOneof("value")
        reader = self._readers.get(kind) if kind is not None else None
        return "" if reader is None else reader(value)

    def body(self, value: AnyValue) -> str:
        """Return the body of a log record."""
        if value.WhichOneof("value") == "string_value":
            return self.text(value.string_value, MAX_BODY_CHARACTERS)
        return self.value(value)

    def text(self, text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
        """Return a text without secrets, cut to `limit` characters."""
        if len(text) > limit:
            return f"{self._redaction.redacted[text[:limit]]}[cut: {len(text)} characters]"
        return self._redaction.redacted[text]

    def _nested(self, value: AnyValue) -> str:
        plain = self._plain(value, MAX_DEPTH)
        return _cut(to_json(plain, inf_nan_mode="constants").decode(), MAX_VALUE_CHARACTERS)

    def _plain(self, value: AnyValue, depth: int) -> Any:
        kind = value.WhichOneof("value")
        if kind not in ("array_value", "kvlist_value"):
            return self._scalar(value, kind)
        if depth == 0:
            return "[cut: nested too deeply]"
        if kind == "array_value":
            return [self._plain(item, depth - 1) for item in value.array_value.values[:MAX_ITEMS]]
        return {
            pair.key: REDACTED if self._redaction.hidden[pair.key] else self._plain(pair.value, depth - 1)
            for pair in value.kvlist_value.values[:MAX_ITEMS]
        }

    def _scalar(self, value: AnyValue, kind: str | None) -> Any:
        if kind is None:
            return None
        return getattr(value, kind) if kind in ("bool_value", "int_value", "double_value") else self.value(value)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}[cut: {len(text)} characters]"


def service_of(resource: Mapping[str, str]) -> str:
    """Return the name of the service that a resource describes."""
    return resource.get("service.name") or _UNKNOWN_SERVICE
