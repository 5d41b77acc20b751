"""Lines of a folded trace that fit into a budget.

The groups that matter most (errors, the critical path, self time) are kept with their ancestors; every other group is
counted on a line below its parent, so that the lines add up to the trace.
"""

from collections.abc import Iterator, Mapping, Sequence

from tfo_mcp.analysis.folds import SpanGroup, all_groups
from tfo_mcp.analysis.text import counted, safe, share
from tfo_mcp.analysis.times import show_duration
from tfo_mcp.analysis.tokens import estimated_tokens
from tfo_mcp.analysis.traces import SpanNode
from tfo_mcp.application.ports.telemetry_store import Span
from tfo_mcp.domain.text import shortened

_DEEPEST_INDENT = 30
_NOTABLE = 0.01
"""Least part of the trace's duration that a line mentions as self time, critical time or offset from the parent."""
_SHORTEST_LINE = 6
"""Tokens of a line at least."""
_NAME_LIMIT = 80
_MESSAGE_LIMIT = 160


class TraceView:
    """Renders the groups of one trace.

    Args:
        start: the time that offsets count from.
        duration: the duration that shares are of.
        logs: log records per span id.
    """

    def __init__(self, tops: Sequence[SpanGroup], start: int, duration: int, logs: Mapping[str, int]) -> None:
        self._tops = tops
        self._start = start
        self._duration = max(1, duration)
        self._logs = logs
        self._groups = list(all_groups(tops))
        self._ranked = sorted(self._groups, key=self._importance, reverse=True)

    def lines(self, budget: float) -> tuple[list[str], int]:
        """Return lines within a budget in tokens, and the number of spans that they only count.

        The most important groups are shown with their ancestors, or the first groups where those are too many. Ids of
        all spans are shown if they fit, otherwise those of errors, of the critical path and above hidden spans.
        """
        most = int(budget / _SHORTEST_LINE)  # so that the time depends on the budget and not on the trace
        if len(self._groups) <= most:
            for all_ids in (True, False):
                lines = self._rendered(set(self._groups), all_ids=all_ids)
                if estimated_tokens("\n".join(lines)) <= budget:
                    return lines, 0
        kept = self._fitting(self._ranked[:most], budget) or self._fitting(self._groups[:most], budget)
        hidden = sum(len(group.members) for group in self._groups if group not in kept)
        return self._rendered(kept, all_ids=False), hidden

    def _fitting(self, order: Sequence[SpanGroup], budget: float) -> set[SpanGroup]:
        """Return as many of the first groups as fit with their ancestors; none if the ancestors of the first do not."""
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            kept = _with_ancestors(order[:middle])
            fits = len(kept) <= budget / _SHORTEST_LINE
            if fits and estimated_tokens("\n".join(self._rendered(kept, all_ids=False))) <= budget:
                low = middle
            else:
                high = middle - 1
        return _with_ancestors(order[:low])

    def _importance(self, group: SpanGroup) -> tuple[bool, int, int]:
        return group.failed, group.critical_time, group.self_time

    def _rendered(self, kept: set[SpanGroup], *, all_ids: bool) -> list[str]:
        lines: list[str] = []
        pending: list[SpanGroup | str] = list(reversed([top for top in self._tops if top in kept]))
        hidden_tops = [top for top in self._tops if top not in kept]
        while pending:
            item = pending.pop()
            if isinstance(item, str):
                lines.append(item)
                continue
            hidden = [child for child in item.children if child not in kept]
            shows_id = (
                all_ids or bool(hidden) or item.failed or self._is_notable(item.critical_time) or item.parent is None
            )
            lines.append(_indent(item.depth) + self._line(item, shows_id=shows_id))
            if hidden:
                pending.append(_indent(item.depth + 1) + _hidden_line(hidden))
            pending.extend(reversed([child for child in item.children if child in kept]))
        return [*lines, *([_hidden_line(hidden_tops)] if hidden_tops else [])]

    def _is_notable(self, time: int) -> bool:
        return time >= self._duration * _NOTABLE

    def _line(self, group: SpanGroup, *, shows_id: bool) -> str:
        return ", ".join(self._parts(group, shows_id=shows_id))

    def _parts(self, group: SpanGroup, *, shows_id: bool) -> Iterator[str]:
        count, span = len(group.members), group.slowest.span
        service = "" if group.parent and group.parent.service == group.service else f" [{safe(group.service)}]"
        name = f"{safe(group.name, _NAME_LIMIT)}{service}"
        if count == 1:
            yield f"{name} {show_duration(group.duration)}"
        else:
            yield f"{name} x{count} (sum {show_duration(group.duration)}, max {show_duration(span.duration)})"
        if group.children and self._is_notable(group.self_time):
            yield f"self {show_duration(group.self_time)}"
        if self._is_notable(group.critical_time):
            yield f"critical {share(group.critical_time, self._duration)}"
        first, reference = _first(group), self._start if group.parent is None else _first(group.parent)
        if self._is_notable(first - reference):
            yield f"+{show_duration(first - self._start)}"
        if group.failed:
            message = error_message(next((node.span for node in group.members if error_message(node.span)), span))
            yield f"ERROR {safe(message, _MESSAGE_LIMIT)}".rstrip()
        if logs := sum(self._logs.get(node.span.span_id, 0) for node in group.members):
            yield counted(logs, "log")
        if shows_id:
            yield f"{'slowest ' if count > 1 else ''}{span.span_id}"


def error_message(span: Span) -> str:
    """Return what a span says about its error: type and message of its exception, or its status message."""
    for event in reversed(span.events):
        kind, message = (str(event.attributes.get(f"exception.{key}", "")) for key in ("type", "message"))
        if kind or message:
            return ": ".join(filter(None, (kind, message)))
    return span.status_message or str(span.attributes.get("error.type", ""))


def critical_lines(nodes: Sequence[SpanNode], start: int, duration: int) -> list[str]:
    """Return one line per span of a critical path: offset, time on the path, operation and id."""
    return [
        f"+{show_duration(node.span.start - start)} {show_duration(node.critical_time)} "
        f"({share(node.critical_time, duration)}) {safe(node.span.name, _NAME_LIMIT)} [{safe(node.span.service)}] "
        f"{node.span.span_id}"
        for node in nodes
    ]


def _with_ancestors(groups: Sequence[SpanGroup]) -> set[SpanGroup]:
    kept: set[SpanGroup] = set()
    for each in groups:
        group: SpanGroup | None = each
        while group is not None and group not in kept:
            kept.add(group)
            group = group.parent
    return kept


def _first(group: SpanGroup) -> int:
    return min(node.span.start for node in group.members)


def _indent(depth: int) -> str:
    return " " * depth if depth <= _DEEPEST_INDENT else f"{' ' * _DEEPEST_INDENT}(level {depth}) "


def _hidden_line(groups: Sequence[SpanGroup]) -> str:
    spans = sum(len(group.members) + group.spans_below for group in groups)
    errors = sum((len(group.members) if group.failed else 0) + group.errors_below for group in groups)
    names = ", ".join(shortened(safe(group.name), 40) for group in groups[:2])
    more = ", …" if len(groups) > 2 else ""
    failed = f", {counted(errors, 'error')}" if errors else ""
    total = show_duration(sum(group.duration for group in groups))
    return f"… {counted(spans, 'span')} ({names}{more}), sum {total}{failed}"
