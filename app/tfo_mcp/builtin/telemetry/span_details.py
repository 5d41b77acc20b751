"""Lines that show one span in full: times, status, attributes, events and links."""

from collections.abc import Iterator

from tfo_mcp.analysis.text import counted, safe
from tfo_mcp.analysis.times import show_duration, show_time
from tfo_mcp.analysis.traces import SpanNode
from tfo_mcp.plugins.telemetry import Attributes

_VALUE_LIMIT = 1500
_LONG_VALUES = ("exception.stacktrace", "db.query.text", "db.statement")
_LONG_LIMIT = 6000


def span_lines(node: SpanNode, logs: int) -> list[str]:
    """Return the lines of a span; values are cut visibly."""
    span = node.span
    own = show_duration(node.self_time)
    return [
        f"{safe(span.name)} [{safe(span.service)}] {span.kind}, status {span.status}"
        + (f": {safe(span.status_message, _VALUE_LIMIT)}" if span.status_message else ""),
        f"start {show_time(span.start)}, duration {show_duration(span.duration)}, self {own}",
        f"parent {span.parent_span_id or 'none'}, {counted(len(node.children), 'child span')}, {counted(logs, 'log')}",
        *_attributes("", span.attributes),
        *_events(node),
        *(f"link: trace {link.trace_id} span {link.span_id}" for link in span.links),
        *_attributes("resource.", span.resource),
        *([f"scope: {safe(span.scope)}"] if span.scope else []),
    ]


def _events(node: SpanNode) -> Iterator[str]:
    for event in node.span.events:
        yield f"event +{show_duration(event.time - node.span.start)}: {safe(event.name)}"
        yield from _attributes("  ", event.attributes)


def _attributes(prefix: str, attributes: Attributes) -> Iterator[str]:
    for name, value in sorted(attributes.items()):
        limit = _LONG_LIMIT if name in _LONG_VALUES else _VALUE_LIMIT
        yield f"{prefix}{safe(name)} = {safe(str(value), limit)}"
