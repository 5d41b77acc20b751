"""AuditSummary: aggregates floods of decisions, so that they cannot fill the audit log.

Up to ten refusals and authentications per second of one caller from one network are written in full. The others of that
second become one line with their count; while the flood continues, only such lines are written. Allowed calls and
changes of keys are never aggregated. A process that crashes loses the aggregates of the last second.
"""

import asyncio
from asyncio import TimerHandle
from dataclasses import dataclass, replace
from operator import attrgetter

from tfo_mcp.application.ports import AuditEntry, AuditLog
from tfo_mcp.domain.accounts import network_of

_WINDOW_SECONDS = 1.0
_FULL_LINES = 10  # of one group in a window
_ALL_FULL_LINES = 100  # of all groups together
_SUMMED_LINES = 100  # in a window; smaller sums beyond are merged
_MOST_GROUPS = 1000
_VARIOUS = "various"
_ALIKE: dict[str, str | None] = {
    "caller": _VARIOUS,
    "method": _VARIOUS,
    "transport": _VARIOUS,
    "address": None,
    "key_id": None,
    "name": None,
    "reason": None,
    "outcome": None,
}
"""The fields that an aggregate line keeps if all its entries agree, with the value that it has otherwise."""
_alike = attrgetter(*_ALIKE)

_Group = tuple[str, str, str, str]


@dataclass(slots=True)
class _Sum:
    """One group of similar decisions in a window: entries left to write in full, and the aggregate of the others."""

    left: int
    entry: AuditEntry | None = None
    count: int = 0

    def add(self, entry: AuditEntry, network: str, count: int = 1) -> None:
        self.count += count
        if self.entry is None:
            self.entry = replace(
                entry,
                address=network or None,
                seconds=None,
                request_bytes=None,
                result_bytes=None,
                arguments=(),
                digest=None,
            )
            return
        mine, its = self.entry, replace(entry, address=network or None) if entry.address != network else entry
        if _alike(its) != _alike(mine):
            differing = {name: other for name, other in _ALIKE.items() if getattr(its, name) != getattr(mine, name)}
            self.entry = replace(mine, **differing)  # type: ignore[arg-type]


class AuditSummary:
    """An AuditLog that aggregates entries before it passes them to another one."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._sums: dict[_Group, _Sum] = {}
        self._full_left = _ALL_FULL_LINES
        self._timer: TimerHandle | None = None

    def write(self, entry: AuditEntry) -> bool:
        """Write an entry, or add it to an aggregate; return False if it could not be written."""
        if entry.decision == "allowed" and entry.event != "authentication":
            return self._log.write(entry)
        network = network_of(entry.address)
        key = entry.event, entry.decision, entry.caller, network
        group = self._sums.get(key) or self._new_sum(key)
        self._schedule()
        if group.left and self._full_left:
            group.left -= 1
            self._full_left -= 1
            return self._log.write(entry)
        group.add(entry, network)
        return True

    def works(self) -> bool:
        """Return whether entries can be written."""
        return self._log.works()

    def close(self) -> None:
        """Write the pending aggregates and close the log."""
        if self._timer is not None:
            self._timer.cancel()
        self._write_sums()
        self._log.close()

    def _new_sum(self, key: _Group) -> _Sum:
        if len(self._sums) < _MOST_GROUPS:
            group = self._sums[key] = _Sum(_FULL_LINES)
            return group
        event, decision, _, _ = key
        return self._sums.setdefault((event, decision, _VARIOUS, ""), _Sum(0))

    def _schedule(self) -> None:
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # no event loop in the command line: `close` writes the aggregates
            self._timer = loop.call_later(_WINDOW_SECONDS, self._end_window)

    def _end_window(self) -> None:
        self._timer = None
        self._write_sums()
        if self._sums:
            self._schedule()

    def _write_sums(self) -> None:
        """Write the aggregates of a window; in the next one, their groups get no lines in full."""
        summed = {key: group for key, group in self._sums.items() if group.count}
        largest = sorted(summed.values(), key=attrgetter("count"), reverse=True)
        rest: dict[tuple[str, str], _Sum] = {}
        for group in largest[_SUMMED_LINES:]:
            assert group.entry is not None
            entry = group.entry
            rest.setdefault((entry.event, entry.decision), _Sum(0)).add(entry, entry.address or "", group.count)
        for group in (*largest[:_SUMMED_LINES], *rest.values()):
            assert group.entry is not None
            self._log.write(replace(group.entry, count=group.count))
        self._sums = {key: _Sum(0) for key in summed}
        self._full_left = _ALL_FULL_LINES
