"""The JSON-RPC messages that the generator sends, and the checks of complete responses.

A repeated message contains TOKEN in the places of its number: as its id and inside its text. The messages of the two
eras differ only in `_meta`, in which each stateless request carries what the handshake era sends once.
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
"""Placeholder for the number of a call; numbers count up from it, so that their length never changes."""


class Era(StrEnum):
    """The two eras of the protocol: a session opened by `initialize`, or all metadata in each request."""

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
    """A `tools/call` of a tool that returns its message; `progress` requests progress notifications."""
    return call_tool(era, tool, {"message": f"hello {TOKEN}"}, progress=progress)


def call_tool(era: Era, tool: str, arguments: Mapping[str, object], *, progress: bool = False) -> Message:
    """A `tools/call` with these arguments."""
    params: Message = {"name": tool, "arguments": dict(arguments)}
    return request(era, "tools/call", params, {"progressToken": TOKEN} if progress else {})


def list_tools(era: Era) -> Message:
    """A `tools/list` of the first page."""
    return request(era, "tools/list", {}, {})


def request(era: Era, method: str, params: Message, meta: Message) -> Message:
    """A request with the metadata that the era requires."""
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
    """Check that a response lists at least `at_least` tools, each with a schema."""
    tools = answer.get("result", {}).get("tools", [])
    if answer.get("id") != number or len(tools) < at_least or not all("inputSchema" in tool for tool in tools):
        raise BenchError(f"a wrong list of {len(tools)} tools for request {number}: {str(answer)[:300]}")
