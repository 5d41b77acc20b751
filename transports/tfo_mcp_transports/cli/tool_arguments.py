"""Arguments of tools and prompts on the command line: one JSON object, or `name=value` words.

The protocol leaves the contents of a tool's schema open, so what is none of JSON Schema is ignored.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfo_mcp.presentation.protocol.rendering import items, mapping
from tfo_mcp_transports.cli.dialogue import CallFailed

_TEXT: Mapping[str, Any] = {"type": "string"}
_WORD = re.compile(r"([^\s=\[\]{}\"']+)=(.*)", re.DOTALL)


def arguments_of(words: Sequence[str], schema: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arguments.

    Args:
        words: what was given after the tool's name.
        schema: returns the input schema of the tool; called for `name=value` words, whose types it decides. What it
            does not name is text.

    Raises:
        CallFailed: the words are neither a JSON object nor `name=value` words.
    """
    texts = [os.fsencode(word).decode(errors="surrogateescape") for word in words]  # UTF-8 in every locale
    if not texts:
        return {}
    if len(texts) == 1 and _WORD.fullmatch(texts[0]) is None:
        return _object(texts[0])
    properties = mapping(schema().get("properties"))
    arguments: dict[str, Any] = {}
    for text in texts:
        found = _WORD.fullmatch(text)
        if found is None:
            raise CallFailed(f"{text!r}: write name=value, or all arguments as one JSON object")
        arguments[found[1]] = _value(found[2], mapping(properties.get(found[1], _TEXT)))
    return arguments


def _object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError as problem:
        raise CallFailed(f"The arguments are neither name=value nor JSON: {problem}") from None
    if not isinstance(parsed, dict):
        raise CallFailed('The arguments must be a JSON object, as in \'{"message": "hello"}\', or name=value')
    return parsed


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the text itself where the schema allows a string, otherwise what it is as JSON."""
    if "string" in _types(schema):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type")
    own = {kind} if isinstance(kind, str) else {each for each in items(kind) if isinstance(each, str)}
    if isinstance(schema.get("const"), str) or any(isinstance(value, str) for value in items(schema.get("enum"))):
        own.add("string")
    return own.union(*(_types(mapping(arm)) for arm in _arms(schema)))


def signature(schema: Mapping[str, Any]) -> str:
    """Return the parameters of a tool for people, as in `(path: string, limit?: integer)`."""
    required = items(schema.get("required"))
    properties = mapping(schema.get("properties"))
    ordered = sorted(properties, key=lambda name: name not in required)
    shown = (f"{name}{'' if name in required else '?'}: {_type(properties[name])}" for name in ordered)
    return f"({', '.join(shown)})"


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" in schema:
        return "|".join(json.dumps(value, ensure_ascii=False) for value in items(schema["enum"]))
    arms = [_type(arm) for arm in _arms(schema)]
    if arms:
        return "|".join(dict.fromkeys(arm for arm in arms if arm != "null"))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"{_type(schema.get('items', {}))}[]"
    return kind if isinstance(kind, str) else "|".join(str(each) for each in items(kind) if each != "null")


def _arms(schema: Mapping[str, Any]) -> list[Any]:
    return [*items(schema.get("anyOf")), *items(schema.get("oneOf"))]
