"""A trace as OTLP JSON (opentelemetry-proto, TracesData), for the resource telemetry://trace/{id}."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfo_mcp.plugins.telemetry import Attributes, AttributeValue, Span

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def traces_data(spans: Iterable[Span]) -> Mapping[str, Any]:
    """Return the spans grouped by their resource and scope."""
    resources: dict[tuple[tuple[str, AttributeValue], ...], dict[str, list[Span]]] = {}
    for span in spans:
        resource = tuple(sorted({"service.name": span.service, **span.resource}.items()))
        resources.setdefault(resource, {}).setdefault(span.scope, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(dict(resource))},
                "scopeSpans": [
                    {"scope": {"name": scope}, "spans": list(map(_span, members))} for scope, members in scopes.items()
                ],
            }
            for resource, scopes in resources.items()
        ]
    }


def _span(span: Span) -> Mapping[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "traceState": span.trace_state,
        "name": span.name,
        "kind": _KINDS.index(span.kind),
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "events": [
            {"timeUnixNano": str(event.time), "name": event.name, "attributes": _attributes(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
        "status": {"code": _STATUSES.index(span.status), "message": span.status_message},
    }


def _attributes(attributes: Attributes) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: AttributeValue) -> Mapping[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
