"""Sessions in memory, and the bus between the servers of one process.

Sessions expire by idleness, the longest idle first. Knows no database; another adapter is chosen by URL.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from time import monotonic

from tfo_mcp.domain.accounts import is_anonymous
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session


class MemorySessionStore:
    """Sessions by id, the longest idle first, so that expiry looks at the front only."""

    def __init__(self, idle_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._sessions: OrderedDict[SessionId, tuple[float, Session]] = OrderedDict()
        self._accounts: dict[str, OrderedDict[SessionId, bool]] = {}  # whether a session is standing

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and restart its idle time; None for an expired one."""
        found = self._sessions.get(session_id)
        now = self._clock()
        if found is None or found[0] < now - self._idle_seconds:
            return None
        session = found[1]
        self._sessions[session_id] = (now, session)
        self._sessions.move_to_end(session_id)
        self._accounts[session.account].move_to_end(session_id)
        return session

    async def put(self, session: Session) -> None:
        """Keep the session."""
        self._sessions[session.id] = (self._clock(), session)
        self._sessions.move_to_end(session.id)
        sessions = self._accounts.setdefault(session.account, OrderedDict())
        sessions[session.id] = session.standing
        sessions.move_to_end(session.id)

    async def delete(self, session_id: SessionId) -> None:
        """Forget the session."""
        found = self._sessions.pop(session_id, None)
        if found is None:
            return
        account = found[1].account
        del self._accounts[account][session_id]
        if not self._accounts[account]:
            del self._accounts[account]

    async def count(self, account: str | None = None) -> int:
        """Return the number of sessions."""
        return len(self._sessions if account is None else self._accounts.get(account, ()))

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions."""
        accounts = (account for account in self._accounts if not anonymous or is_anonymous(account))
        return max(accounts, key=lambda account: len(self._accounts[account]), default=None)

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return the sessions of an account that have no connection, longest unused first."""
        sessions: Mapping[SessionId, bool] = self._accounts.get(account, OrderedDict())
        return list(islice((session_id for session_id, standing in sessions.items() if not standing), limit))

    async def reap(self) -> Sequence[SessionId]:
        """Forget the expired sessions."""
        oldest_allowed = self._clock() - self._idle_seconds
        expired: list[SessionId] = []
        for session_id, (used, _) in self._sessions.items():
            if used >= oldest_allowed:
                break
            expired.append(session_id)
        for session_id in expired:
            await self.delete(session_id)
        return expired


class MemorySessionBus:
    """Hands frames to the other servers that share this object."""

    def __init__(self) -> None:
        self._receivers: list[Callable[[SessionId, bytes], None]] = []

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Hand the frame to every receiver; one that does not know the session ignores it."""
        for receiver in tuple(self._receivers):
            receiver(session_id, frame)

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Add a receiver."""
        self._receivers.append(receiver)
        return lambda: self._receivers.remove(receiver)
