"""The format of the Messages API: histories, messages, streams of events and errors.

Pure functions of what the local servers of the API read and write; knows no sockets.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def problem_of(messages: list[Mapping[str, Any]]) -> str | None:
    """Return what the service would refuse in a history, None if it is valid."""
    asked: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[number % 2]:
            return f"messages.{number}: roles must alternate"
        blocks = blocks_of(message)
        if not blocks or any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return f"messages.{number}: content must not be empty"
        answered = {str(block["tool_use_id"]) for block in blocks if block["type"] == "tool_result"}
        if answered != asked:
            return f"messages.{number}: tool_use ids without tool_result: {sorted(asked ^ answered)}"
        asked = {str(block["id"]) for block in blocks if block["type"] == "tool_use"}
    return "messages: the last one is the assistant's" if len(messages) % 2 == 0 else None


def blocks_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the content of a message as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def model_info(name: str, max_tokens: int | None = None, *thinking: str) -> dict[str, Any]:
    """Return an entry of the models endpoint; `thinking` are the supported kinds."""
    kinds = {kind: {"supported": kind in thinking} for kind in ("enabled", "adaptive", "disabled", "between_tools")}
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_tokens": max_tokens,
        "capabilities": {"thinking": {"supported": bool(thinking), "types": kinds}},
    }


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token of the Authorization header, in which newer versions of the SDK send the key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error body in the format of the service."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_local"}


def message_body(number: int, asked: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message body in the format of the service; each word counts as one token."""
    blocks = [
        {"type": "text", "text": block} if isinstance(block, str) else dict(block) for block in planned["content"]
    ]
    texts = [str(block["text"]) for block in blocks if block["type"] == "text"]
    return {
        "id": f"msg_{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": blocks,
        "stop_reason": planned["stop_reason"],
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(last_text(asked).split()),
            "output_tokens": sum(len(text.split()) for text in texts),
            **planned.get("usage", {}),
        },
    }


def events_of(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a stream that carries a message, in the format of the service."""
    usage = message["usage"]
    began = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": began}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        start, deltas = parts_of(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def parts_of(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return the start of a block and the deltas that complete it."""
    match block["type"]:
        case "text":
            text = block["text"]
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": part} for part in (text[:3], text[3:])]
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case "tool_use":
            given = block.get("raw_input", json.dumps(block.get("input", {})))
            return {"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}, [
                {"type": "input_json_delta", "partial_json": part} for part in (given[:5], given[5:])
            ]
        case _:
            return block, []


def encoded(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Return server-sent events as bytes."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def last_text(asked: Mapping[str, Any]) -> str:
    """Return the text of the last message of a request."""
    return "".join(block.get("text", "") for block in blocks_of(asked["messages"][-1]))
