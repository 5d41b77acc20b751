"""Trees of traces: parents and children, self times, and the critical path.

A trace as it was received may lack spans, name a span twice, or contain cycles; its tree holds every span once, and
says what was wrong. Times are nanoseconds. Nothing is recursive, since a trace may be deeper than Python's stack.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tfo_mcp.application.ports.telemetry_store import Span
from tfo_mcp.value_objects import value_object


@dataclass(slots=True, eq=False)
class SpanNode:
    """A span with its children, the earliest first.

    `self_time` is the time of the span in which no child ran. `critical_time` is the part of the trace's duration that
    was spent in the span itself on the critical path.
    """

    span: Span
    parent: "SpanNode | None" = None
    children: list["SpanNode"] = field(default_factory=list)
    self_time: int = 0
    critical_time: int = 0


@value_object
class TraceTree:
    """The spans of a trace as trees, and the faults of the trace as it was received.

    `orphans` counts roots whose parent is not stored, `duplicates` spans that were received again, `cycles` spans
    whose ancestors led back to them, `skewed` spans that begin before their parent in another service.
    """

    roots: Sequence[SpanNode]
    orphans: int
    duplicates: int
    cycles: int
    skewed: int

    def __iter__(self) -> Iterator[SpanNode]:
        """Yield all spans, parents before their children, in the order of their start among siblings."""
        pending = list(reversed(self.roots))
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))

    @property
    def start(self) -> int:
        """The start of the earliest span."""
        return min(node.span.start for node in self.roots)

    @property
    def end(self) -> int:
        """The end of the latest span."""
        return max(node.span.end for node in self)


def tree_of(spans: Iterable[Span]) -> TraceTree:
    """Return the tree of the spans of one trace, with self times and the critical path."""
    nodes: dict[str, SpanNode] = {}
    duplicates = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.duration)):
        duplicates += span.span_id in nodes
        nodes.setdefault(span.span_id, SpanNode(span))
    roots: list[SpanNode] = []
    orphans = 0
    for node in nodes.values():
        node.parent = nodes.get(node.span.parent_span_id) if node.span.parent_span_id != node.span.span_id else None
        orphans += node.parent is None and node.span.parent_span_id not in ("", node.span.span_id)
    cycles = _break_cycles(nodes.values())
    for node in nodes.values():
        (roots if node.parent is None else node.parent.children).append(node)
    skewed = sum(_is_skewed(node) for node in nodes.values())
    tree = TraceTree(roots, orphans, duplicates, cycles, skewed)
    for node in nodes.values():
        node.self_time = _self_time(node)
    for root in roots:
        _mark_critical_path(root)
    return tree


def _break_cycles(nodes: Iterable[SpanNode]) -> int:
    """Cut each cycle at its earliest span, and return the number of cuts."""
    known: set[int] = set()
    cuts = 0
    for start in nodes:  # the earliest first
        path: set[int] = set()
        node: SpanNode | None = start
        while node is not None and id(node) not in known and id(node) not in path:
            path.add(id(node))
            node = node.parent
        if node is not None and id(node) in path:
            node.parent = None
            cuts += 1
        known |= path
    return cuts


def _is_skewed(node: SpanNode) -> bool:
    parent = node.parent
    return parent is not None and parent.span.service != node.span.service and node.span.start < parent.span.start


def _self_time(node: SpanNode) -> int:
    covered, until = 0, node.span.start
    for child in node.children:
        start, end = max(child.span.start, until), min(child.span.end, node.span.end)
        if end > start:
            covered += end - start
            until = end
    return node.span.duration - covered


def _mark_critical_path(root: SpanNode) -> None:
    """Walk backwards from the end of a root: the child that ended last before a moment was waited for until then."""
    pending = [(root, root.span.start, root.span.end)]
    while pending:
        node, start, moment = pending.pop()
        for child in sorted(node.children, key=lambda child: child.span.end, reverse=True):
            child_start, child_end = max(child.span.start, start), min(child.span.end, moment)
            if child_end > child_start:
                node.critical_time += moment - child_end
                pending.append((child, child_start, child_end))
                moment = child_start
        node.critical_time += moment - start


def critical_path(tree: TraceTree) -> list[SpanNode]:
    """Return the spans with time on the critical path, in the order of the tree."""
    return [node for node in tree if node.critical_time > 0]
