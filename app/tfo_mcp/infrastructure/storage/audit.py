"""SqlAudit: audit entries in a database, besides the file. Written behind, since no decision waits for a database.

The buffer is bounded. Entries beyond are dropped, and their number is stored once the database can be written.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from time import time
from typing import Any

from sqlalchemy import insert

from tfo_mcp.application.ports import AuditEntry, AuditLog
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.tables import audit

_MOST_WAITING = 10_000
_WRITTEN_AT_ONCE = 500
_COLUMNS = ("event", "decision", "caller")


class SqlAudit:
    """An AuditLog that writes to another one, which decides about success, and also to a database.

    Args:
        log: the other log.
        members: returns the members of an entry as JSON values.
        most_waiting: maximum entries that are not in the database yet.
    """

    def __init__(
        self,
        log: AuditLog,
        database: Database,
        members: Callable[[AuditEntry], Mapping[str, object]],
        most_waiting: int = _MOST_WAITING,
        clock: Callable[[], float] = time,
    ) -> None:
        self._log = log
        self._database = database
        self._members = members
        self._most_waiting = most_waiting
        self._clock = clock
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._unreported = 0
        self.dropped = 0
        """Entries that were dropped because the buffer was full."""

    @property
    def waiting(self) -> int:
        """Entries that are not in the database yet."""
        return len(self._waiting)

    def write(self, entry: AuditEntry) -> bool:
        """Write an entry to the other log and return whether that succeeded; queue it for the database."""
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
            self._unreported += 1
        else:
            self._waiting.append(self._row(self._members(entry)))
        return self._log.write(entry)

    def works(self) -> bool:
        """Return whether entries can be written to the other log."""
        return self._log.works()

    def close(self) -> None:
        """Close the other log."""
        self._log.close()

    async def flush(self) -> None:
        """Write the queued entries to the database.

        Raises:
            StorageUnavailable: the database cannot be written; the entries are kept.
        """
        while self._waiting or self._unreported:
            rows = list(islice(self._waiting, _WRITTEN_AT_ONCE))
            lost = self._unreported if len(rows) == len(self._waiting) else 0
            await self._database.execute(insert(audit), [*rows, self._lost(lost)] if lost else rows)
            self._unreported -= lost
            for _ in rows:
                self._waiting.popleft()

    def _lost(self, count: int) -> Mapping[str, Any]:
        reason = "entries could not be written"
        return self._row({"event": "audit", "decision": "resumed", "caller": "", "reason": reason, "lost": count})

    def _row(self, members: Mapping[str, object]) -> Mapping[str, Any]:
        details = {name: value for name, value in members.items() if name not in _COLUMNS}
        return {"time": self._clock(), "details": details, **{name: members[name] for name in _COLUMNS}}
