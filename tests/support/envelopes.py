"""JSON-RPC messages and their metadata as a client of either era writes them.

Below `stdio_client` and `http_client`. Plain dictionaries, so that a test can spoil any part. Knows no transport but
for the headers that mirror a message over HTTP.
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
    """Return the answer to a request of the server."""
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
    """Return `params` with the metadata that every request of the stateless era carries; a `_meta` in it is kept."""
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
    """Return the headers that mirror a request of the stateless era, as the spec demands them."""
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
    """Return `text` for a header: as it is, or in the spec's base64 form where a header could not carry it."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode('ascii')}?="


def same_id(left: object, right: object) -> bool:
    """Tell whether two ids are the same in value and JSON type: 1 is neither "1" nor true."""
    return type(left) is type(right) and left == right
