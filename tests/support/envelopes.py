"""JSON-RPC messages and their metadata, as a client of either era writes them.

Below `stdio_client` and `http_client`. Messages are plain dictionaries, so that a test can corrupt any part. Knows no
transport except for the HTTP headers that mirror a message.
"""

import base64
from collections.abc import Mapping
from typing import Any

HANDSHAKE_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST_HANDSHAKE = HANDSHAKE_REVISIONS[-1]
STATELESS = "2026-07-28"
FIRST_WITH_VERSION_HEADER = "2025-06-18"

META_PREFIX = "io.modelcontextprotocol/"
CLIENT_INFO = {"name": "test-client", "version": "1.0.0"}
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

JsonObject = dict[str, Any]
MessageId = str | int


def request(identifier: MessageId | None, method: str, params: Mapping[str, Any] | None = None) -> JsonObject:
    """Return a request; without params if they are None."""
    message: JsonObject = {"jsonrpc": "2.0", "id": identifier, "method": method}
    return message if params is None else {**message, "params": dict(params)}


def notification(method: str, params: Mapping[str, Any] | None = None) -> JsonObject:
    """Return a notification; without params if they are None."""
    message: JsonObject = {"jsonrpc": "2.0", "method": method}
    return message if params is None else {**message, "params": dict(params)}


def response(identifier: MessageId, result: Mapping[str, Any]) -> JsonObject:
    """Return the response to a request of the server."""
    return {"jsonrpc": "2.0", "id": identifier, "result": dict(result)}


def initialize_params(revision: str, capabilities: Mapping[str, Any] | None = None) -> JsonObject:
    """Return the params of `initialize`."""
    return {"protocolVersion": revision, "capabilities": dict(capabilities or {}), "clientInfo": CLIENT_INFO}


def stateless_params(
    params: Mapping[str, Any] | None = None,
    *,
    capabilities: Mapping[str, Any] | None = None,
    log_level: str | None = None,
    revision: str = STATELESS,
) -> JsonObject:
    """Return `params` with the metadata of a stateless request; members of an existing `_meta` are kept."""
    own = dict(params or {})
    meta: JsonObject = {
        f"{META_PREFIX}protocolVersion": revision,
        f"{META_PREFIX}clientInfo": CLIENT_INFO,
        f"{META_PREFIX}clientCapabilities": dict(capabilities or {}),
    }
    if log_level is not None:
        meta[f"{META_PREFIX}logLevel"] = log_level
    return {**own, "_meta": {**meta, **own.get("_meta", {})}}


def stateless_headers(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that mirror a stateless request, as required by the specification."""
    params: Mapping[str, Any] = message.get("params") or {}
    method = str(message["method"])
    headers = {"Mcp-Method": method}
    revision = params.get("_meta", {}).get(f"{META_PREFIX}protocolVersion", STATELESS)
    headers["MCP-Protocol-Version"] = str(revision)
    name = params.get(NAMED_BY.get(method, ""))
    if name is not None:
        headers["Mcp-Name"] = header_value(str(name))
    return headers


def header_value(text: str) -> str:
    """Return `text` as a header value: unchanged, or in the specification's base64 form if it is not header-safe."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode('ascii')}?="


def same_id(left: object, right: object) -> bool:
    """Return whether two ids have the same value and JSON type: 1 is neither "1" nor true."""
    return type(left) is type(right) and left == right
