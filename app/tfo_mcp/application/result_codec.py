"""Encodes the result of a tool as bytes for a cache, and decodes it.

The structured part and metadata must be what JSON can express. Knows no protocol message.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from tfo_mcp.domain import content
from tfo_mcp.domain.tool import ABSENT, ToolResult

_KINDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(content.Annotations, content.Audio, content.BlobContents, content.EmbeddedResource),
        *(content.Image, content.ResourceLink, content.Text, content.TextContents),
    )
}


def encode(result: ToolResult) -> bytes | None:
    """Return a result as bytes, None if it cannot be encoded."""
    structured = [] if result.structured is ABSENT else [result.structured]
    try:
        blocks = [_plain(block) for block in result.content]
        whole = {"content": blocks, "structured": structured, "meta": dict(result.meta)}
        return json.dumps(whole, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        return None


def decode(encoded: bytes) -> ToolResult | None:
    """Return the result that `encode` has encoded; None if the bytes are no result, for example of another version."""
    try:
        whole = json.loads(encoded)
        blocks = tuple(_value(block) for block in whole["content"])
        structured = whole["structured"][0] if whole["structured"] else ABSENT
        return ToolResult(blocks, structured, meta=whole["meta"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        members = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        return {"kind": type(value).__name__, "members": members}
    if isinstance(value, bytes):
        return {"kind": "bytes", "members": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):  # metadata
        return {"kind": "json", "members": dict(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_value(each) for each in plain)
    if not isinstance(plain, dict):
        return plain
    if plain["kind"] == "json":
        return plain["members"]
    if plain["kind"] == "bytes":
        return base64.b64decode(plain["members"])
    return _KINDS[plain["kind"]](**{name: _value(member) for name, member in plain["members"].items()})
