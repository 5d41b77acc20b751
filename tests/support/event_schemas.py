"""Generates docs/events: the JSON Schema of each event in the stream, for the programs that read it.

python -m tests.support.event_schemas
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from tests.support.processes import PROJECT
from tfo_mcp.application.cloud_events import SOURCE, TYPE_PREFIX
from tfo_mcp.domain.events import LOGGED, DomainEvent

FOLDER = PROJECT / "docs" / "events"
_SESSION = "session_id"
_JSON_TYPES: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_TRACEPARENT = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


def event_schemas() -> Mapping[str, str]:
    """Return the text of each schema by the name of its file."""
    return {f"{kind.__name__}.json": json.dumps(_schema(kind), indent=2) + "\n" for kind in LOGGED}


def _schema(kind: type[DomainEvent]) -> Mapping[str, Any]:
    data = _data(kind)
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "description": "Unique: drop an event whose id you have."},
        "source": {"const": f"{SOURCE}/{kind.aggregate}"},
        "type": {"const": f"{TYPE_PREFIX}{kind.__name__}"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "traceparent": {"type": "string", "pattern": _TRACEPARENT},
        "data": {"type": "object", "properties": data, "required": list(data), "additionalProperties": False},
    }
    if kind.identity is not None:
        properties["subject"] = {"type": "string", "minLength": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.__name__,
        "description": (kind.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
        "additionalProperties": False,
    }


def _data(kind: type[DomainEvent]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        ("session" if field.name == _SESSION else field.name): {"type": _json_type(hints[field.name])}
        for field in fields(kind)
    }


def _json_type(hint: Any) -> str:
    return _JSON_TYPES.get(getattr(hint, "__supertype__", hint), "string")


def main() -> None:
    """Write the schemas, and remove those of events that are gone."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, text in event_schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
