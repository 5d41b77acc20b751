"""Lenient JSON: reads frames that the strict parser refuses, and says what is wrong with them.

JavaScript clients send half of a surrogate pair when they cut a text inside an emoji, Python clients send NaN, and some
send other encodings than UTF-8. The id of such a message can still be read, so that its sender gets an error instead of
waiting for its timeout. Knows JSON texts only, no messages.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tfo_mcp.domain.text import SURROGATE, with_whole_characters

_PATH_LIMIT = 200


class Repaired(NamedTuple):
    """A value in which invalid characters are U+FFFD, but for ids, and NaN and infinities null; and what was wrong."""

    value: Any
    problem: str


def repair(frame: bytes) -> Repaired | None:
    """Return the value of a frame with invalid UTF-8, unpaired surrogates or non-finite numbers.

    None if the frame is no JSON text even so.
    """
    text = frame.decode("utf-8", "replace")
    constants: list[str] = []
    try:
        value = json.loads(text, parse_constant=constants.append)
        return Repaired(_with_ids_of(value, with_whole_characters(value)), _problem(value, constants))
    except (ValueError, RecursionError):
        return None


def _with_ids_of(original: Any, repaired: Any) -> Any:
    """Return a repaired message or batch with the ids of the original: an answer under another id would be lost."""
    if isinstance(original, list):
        return [_with_ids_of(*pair) for pair in zip(original, repaired, strict=True)]
    if isinstance(original, dict) and isinstance(original.get("id"), str):
        return {**repaired, "id": original["id"]}
    return repaired


def _problem(value: Any, constants: list[str]) -> str:
    if constants:
        return f"The message contains {constants[0]}, which JSON does not have: send null or leave the member out"
    path = next(_surrogates(value, ""), None)
    if path is None:
        return "The message is not valid UTF-8"
    return f"{path} contains half of a surrogate pair: send whole characters, or U+FFFD in its place"


def _surrogates(value: Any, path: str) -> Iterator[str]:
    """Yield the paths of the strings and member names that contain unpaired surrogates."""
    if isinstance(value, str):
        if SURROGATE.search(value):
            yield path[:_PATH_LIMIT] or "The message"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _surrogates(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _surrogates(name, f"A name in {path}" if path else "A name")
            yield from _surrogates(item, f"{path}.{name}" if path else name)
