"""Folds the tree of a trace: sibling spans of one operation become one group, and so do their children.

A group stands for spans with the same service, operation, kind and status below the same group. Every span is in
exactly one group, so that the counts of a folded tree add up to the trace.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tfo_mcp.analysis.traces import SpanNode


@dataclass(slots=True, eq=False)
class SpanGroup:
    """Spans of one operation below one group; `depth` is 0 for a root.

    `duration`, `self_time` and `critical_time` are sums over the members, in nanoseconds.
    """

    members: list[SpanNode]
    parent: "SpanGroup | None"
    depth: int
    children: list["SpanGroup"] = field(default_factory=list)
    spans_below: int = 0
    errors_below: int = 0
    duration: int = 0
    self_time: int = 0
    critical_time: int = 0

    @property
    def service(self) -> str:
        """The service of all members."""
        return self.members[0].span.service

    @property
    def name(self) -> str:
        """The operation of all members."""
        return self.members[0].span.name

    @property
    def failed(self) -> bool:
        """Whether the members have the status error."""
        return self.members[0].span.status == "error"

    @property
    def slowest(self) -> SpanNode:
        """The longest member."""
        return max(self.members, key=lambda node: node.span.duration)


def folded(roots: Iterable[SpanNode]) -> Sequence[SpanGroup]:
    """Return the groups of the roots, with all groups below them."""
    tops = _grouped(roots, None, 0)
    pending = list(tops)
    order: list[SpanGroup] = []
    while pending:
        group = pending.pop()
        order.append(group)
        group.children = _grouped((child for node in group.members for child in node.children), group, group.depth + 1)
        pending.extend(group.children)
    for group in reversed(order):  # children before their parents
        group.duration = sum(node.span.duration for node in group.members)
        group.self_time = sum(node.self_time for node in group.members)
        group.critical_time = sum(node.critical_time for node in group.members)
        for child in group.children:
            group.spans_below += len(child.members) + child.spans_below
            group.errors_below += (len(child.members) if child.failed else 0) + child.errors_below
    return tops


def all_groups(tops: Sequence[SpanGroup]) -> Iterator[SpanGroup]:
    """Yield the groups, parents before their children."""
    pending = list(reversed(tops))
    while pending:
        group = pending.pop()
        yield group
        pending.extend(reversed(group.children))


def _grouped(nodes: Iterable[SpanNode], parent: SpanGroup | None, depth: int) -> list[SpanGroup]:
    groups: dict[tuple[str, str, str, bool], SpanGroup] = {}
    for node in nodes:
        span = node.span
        key = (span.service, span.name, span.kind, span.status == "error")
        if key in groups:
            groups[key].members.append(node)
        else:
            groups[key] = SpanGroup([node], parent, depth)
    return sorted(groups.values(), key=lambda group: min(node.span.start for node in group.members))
