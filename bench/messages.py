"""The JSON-RPC messages that the generator sends, and the check of a whole answer.

A message that is sent many times carries TOKEN wherever its number belongs: as its id and inside its text. A message
for both eras differs only in its `_meta`, which the stateless era fills with what the handshake era says once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from bench.errors import BenchError
from bench.http_answers import events

Message = dict[str, Any]

TOKEN = 10_000_000
"""Stands for the number of a call; calls count up from it, so the number of digits never changes."""


class Era(StrEnum):
    """The two ways to talk to a server: a session opened by `initialize`, or all metadata in each request."""

    HANDSHAKE = "handshake"
    STATELESS = "stateless"

    @property
    def revision(self) -> str:
        """The newest protocol revision of the era."""
        return "2025-11-25" if self is Era.HANDSHAKE else "2026-07-28"


CLIENT_INFO = {"name": "bench", "version": "1.0.0"}

INITIALIZE: Message = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": Era.HANDSHAKE.revision, "capabilities": {}, "clientInfo": CLIENT_INFO},
}

INITIALIZED: Message = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def encode(message: Message) -> bytes:
    """The compact JSON of a message."""
    return json.dumps(message, separators=(",", ":")).encode()


def call(era: Era, tool: str, *, progress: bool = False) -> Message:
    """A `tools/call` of a tool that answers with its message; `progress` asks for progress notifications."""
    return call_tool(era, tool, {"message": f"hello {TOKEN}"}, progress=progress)


def call_tool(era: Era, tool: str, arguments: Mapping[str, object], *, progress: bool = False) -> Message:
    """A `tools/call` with these arguments."""
    params: Message = {"name": tool, "arguments": dict(arguments)}
    return request(era, "tools/call", params, {"progressToken": TOKEN} if progress else {})


def list_tools(era: Era) -> Message:
    """A `tools/list` of the first page."""
    return request(era, "tools/list", {}, {})


def request(era: Era, method: str, params: Message, meta: Message) -> Message:
    """A request with the metadata that the era asks for."""
    if era is Era.STATELESS:
        meta = {
            "io.modelcontextprotocol/protocolVersion": era.revision,
            "io.modelcontextprotocol/clientInfo": CLIENT_INFO,
            "io.modelcontextprotocol/clientCapabilities": {},
            **meta,
        }
    if meta:
        params = {**params, "_meta": meta}
    return {"jsonrpc": "2.0", "id": TOKEN, "method": method, "params": params}


def parse(frame: bytes) -> Message:
    """The JSON object in a frame."""
    try:
        message = json.loads(frame)
    except ValueError:
        raise BenchError(f"an answer is not JSON: {frame[:200]!r}") from None
    if not isinstance(message, dict):
        raise BenchError(f"an answer is not a message: {frame[:200]!r}")
    return message


def check_call(answer: Message, number: int) -> None:
    """Check that an answer is the echo of call `number`."""
    result = answer.get("result", {})
    content = result.get("content") or [{}]
    right = answer.get("id") == number and not result.get("isError") and content[0].get("text") == f"hello {number}"
    if not right:
        raise BenchError(f"a wrong answer to call {number}: {str(answer)[:300]}")


def check_streamed_call(body: bytes, number: int) -> None:
    """Check that a body is a stream of server-sent events: progress of call `number`, then its echo."""
    messages = [parse(event) for event in events(body)]
    if len(messages) < 2 or messages[0].get("method") != "notifications/progress":
        raise BenchError(f"no stream with progress for call {number}: {body[:300]!r}")
    if messages[0]["params"]["progressToken"] != number:
        raise BenchError(f"progress of another call than {number}: {messages[0]}")
    check_call(messages[-1], number)


def check_list(answer: Message, number: int, at_least: int) -> None:
    """Check that an answer lists at least so many tools, each with a schema."""
    tools = answer.get("result", {}).get("tools", [])
    if answer.get("id") != number or len(tools) < at_least or not all("inputSchema" in tool for tool in tools):
        raise BenchError(f"a wrong list of {len(tools)} tools for request {number}: {str(answer)[:300]}")
