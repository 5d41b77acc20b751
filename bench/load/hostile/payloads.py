"""The bytes that hostile clients send: HTTP requests, WebSocket frames and JSON-RPC messages. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.messages import CLIENT_INFO, Era, Message
from bench.websocket_frames import upgrade_request

LARGE = 3_900_000
"""Bytes of a message that is just below the default of `server.max_body_bytes`."""
MASK = bytes(4)
BATCHES = "2025-03-26"
USUAL = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def head(verb: str = "POST", path: str = "/mcp", headers: Mapping[str, str] | None = None) -> bytes:
    """Return a request line and headers, with the blank line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "127.0.0.1", **(headers or {})}.items())
    return f"{verb} {path} HTTP/1.1\r\n{lines}\r\n".encode()


def post(body: bytes, headers: Mapping[str, str] | None = None, path: str = "/mcp") -> bytes:
    """Return a POST of a message."""
    return head("POST", path, {**USUAL, **(headers or {}), "Content-Length": str(len(body))}) + body


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a GET."""
    return head("GET", path, headers)


def upgrade(port: int, credentials: Mapping[str, str] | None = None) -> bytes:
    """Return the request that opens a WebSocket."""
    return upgrade_request(port, "/ws", credentials)


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, size: int | None = None) -> bytes:
    """Return a masked frame; `size` is the length in its header if it differs from that of the payload."""
    told = len(payload) if size is None else size
    first = (0x80 if final else 0) | opcode
    if told < 126:
        return bytes((first, 0x80 | told)) + MASK + payload
    if told < 1 << 16:
        return bytes((first, 0x80 | 126)) + told.to_bytes(2) + MASK + payload
    return bytes((first, 0x80 | 127)) + told.to_bytes(8) + MASK + payload


def message(method: str, params: Mapping[str, Any] | None = None, identifier: object = 1) -> Message:
    """Return a request."""
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": dict(params or {})}


def encode(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def initialize(
    capabilities: Mapping[str, Any] | None = None, name: str = "hostile", revision: str = Era.HANDSHAKE.revision
) -> bytes:
    """Return an `initialize`."""
    info = {**CLIENT_INFO, "name": name}
    params = {"protocolVersion": revision, "capabilities": dict(capabilities or {}), "clientInfo": info}
    return encode(message("initialize", params))


INITIALIZED = encode({"jsonrpc": "2.0", "method": "notifications/initialized"})


def call(tool: str, arguments: Mapping[str, Any], meta: Mapping[str, Any] | None = None, identifier: int = 1) -> bytes:
    """Return a `tools/call` of the handshake era."""
    params: Message = {"name": tool, "arguments": dict(arguments)}
    return encode(message("tools/call", {**params, "_meta": dict(meta)} if meta else params, identifier))


def stateless(method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """Return the POST of a stateless request, with additional headers."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": Era.STATELESS.revision,
        "io.modelcontextprotocol/clientInfo": CLIENT_INFO,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = encode(message(method, {**params, "_meta": meta}))
    return post(body, {"MCP-Protocol-Version": Era.STATELESS.revision, "Mcp-Method": method, **(headers or {})})


def stateless_call(tool: str, arguments: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """Return the POST of a stateless `tools/call`, with additional headers."""
    return stateless("tools/call", {"name": tool, "arguments": dict(arguments)}, {"Mcp-Name": tool, **(headers or {})})


def in_session(session: str, body: bytes, revision: str = Era.HANDSHAKE.revision) -> bytes:
    """Return the POST of a message in a session."""
    return post(body, {"Mcp-Session-Id": session, "MCP-Protocol-Version": revision})
