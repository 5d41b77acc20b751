"""CloudEvents 1.0 in JSON, structured mode: the form in which other systems read recorded events.

Knows no broker. The attribute `traceparent` is that of the extension for distributed tracing.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tfo_mcp.application.ports import RecordedEvent

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "/tfo-mcp"
TYPE_PREFIX = "tfo.mcp."


def cloud_event(record: RecordedEvent) -> dict[str, Any]:
    """Return a recorded event as a CloudEvent."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": record.id,
        "source": f"{SOURCE}/{record.aggregate}",
        "type": f"{TYPE_PREFIX}{record.type}",
        "time": datetime.fromtimestamp(record.time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(record.data),
    }
    if record.subject:  # the specification forbids an empty one
        event["subject"] = record.subject
    if record.traceparent is not None:
        event["traceparent"] = record.traceparent
    return event


def encode(record: RecordedEvent) -> bytes:
    """Return a recorded event as the JSON of a CloudEvent."""
    return json.dumps(cloud_event(record), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decode(payload: bytes) -> RecordedEvent:
    """Return the recorded event in the JSON of a CloudEvent.

    Raises:
        ValueError: it is no CloudEvent of this product.
    """
    event = json.loads(payload)
    if not isinstance(event, Mapping) or event.get("specversion") != "1.0":
        raise ValueError("not a CloudEvent 1.0")
    try:
        return RecordedEvent(
            event["id"],
            event["type"].removeprefix(TYPE_PREFIX),
            event["source"].removeprefix(f"{SOURCE}/"),
            event.get("subject", ""),
            datetime.fromisoformat(event["time"]).timestamp(),
            event["data"],
            event.get("traceparent"),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"not an event of this product: {problem!r}") from None
