"""Sessions in memory, and the bus between the servers of one process.

Sessions expire by idle time, the longest idle first. Must not know transports or clients.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from time import monotonic

from tfo_mcp.application.ports import Room, Use
from tfo_mcp.domain.accounts import is_anonymous
from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session


class MemorySessionStore:
    """Sessions by id, longest idle first, so that expiry only checks the front."""

    def __init__(self, idle_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._sessions: OrderedDict[SessionId, tuple[float, Session]] = OrderedDict()
        self._accounts: dict[str, OrderedDict[SessionId, bool]] = {}  # whether the session has a connection

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and restart its idle time; None if it is unknown or expired."""
        found = self._sessions.get(session_id)
        now = self._clock()
        if found is None or found[0] < now - self._idle_seconds:
            return None
        session = found[1]
        self._sessions[session_id] = (now, session)
        self._sessions.move_to_end(session_id)
        self._accounts[session.account].move_to_end(session_id)
        return session

    async def add(self, session: Session, per_account: int, total: int) -> Room:
        """Store a new session if the limits of its account and of all allow it."""
        if len(self._accounts.get(session.account, ())) >= per_account:
            return Room.ACCOUNT
        if len(self._sessions) >= total:
            return Room.TOTAL
        await self.put(session)
        return Room.FREE

    async def put(self, session: Session) -> None:
        """Store the session and restart its idle time."""
        self._sessions[session.id] = (self._clock(), session)
        self._sessions.move_to_end(session.id)
        sessions = self._accounts.setdefault(session.account, OrderedDict())
        sessions[session.id] = session.standing
        sessions.move_to_end(session.id)

    def restore(self, found: Iterable[tuple[Session, float]]) -> None:
        """Add sessions that are not in the store, each with its idle seconds, the latest used first.

        All of them were used before those in the store.
        """
        now = self._clock()
        for session, idle_seconds in found:
            if session.id not in self._sessions:
                self._sessions[session.id] = (now - idle_seconds, session)
                self._sessions.move_to_end(session.id, last=False)
                sessions = self._accounts.setdefault(session.account, OrderedDict())
                sessions[session.id] = session.standing
                sessions.move_to_end(session.id, last=False)

    async def delete(self, session_id: SessionId, _events: Sequence[DomainEvent] = ()) -> None:
        """Remove the session; a no-op if it is unknown."""
        found = self._sessions.pop(session_id, None)
        if found is None:
            return
        account = found[1].account
        del self._accounts[account][session_id]
        if not self._accounts[account]:
            del self._accounts[account]

    async def count(self, account: str | None = None) -> int:
        """Return the number of sessions, of one account if given."""
        return len(self._sessions if account is None else self._accounts.get(account, ()))

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions, only among anonymous ones if `anonymous`; None without any."""
        accounts = (account for account in self._accounts if not anonymous or is_anonymous(account))
        return max(accounts, key=lambda account: len(self._accounts[account]), default=None)

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return up to `limit` sessions of an account that have no connection, longest idle first."""
        sessions: Mapping[SessionId, bool] = self._accounts.get(account, OrderedDict())
        return list(islice((session_id for session_id, standing in sessions.items() if not standing), limit))

    async def reap(self) -> Sequence[SessionId]:
        """Remove the expired sessions and return their ids."""
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
    """Passes frames to all servers that share this object."""

    def __init__(self) -> None:
        self._receivers: list[Callable[[SessionId, bytes], None]] = []
        self._uses: dict[Use, list[Callable[[SessionId], bool]]] = {use: [] for use in Use}

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Pass the frame to every receiver; a receiver without the session ignores it."""
        for receiver in tuple(self._receivers):
            receiver(session_id, frame)

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Add a receiver; return a function that removes it."""
        self._receivers.append(receiver)
        return lambda: self._receivers.remove(receiver)

    def report_use(self, use: Use, in_use: Callable[[SessionId], bool]) -> None:
        """Let `used` know the sessions that a server uses in one way."""
        self._uses[use].append(in_use)

    async def used(self, session_ids: Sequence[SessionId], use: Use = Use.OPEN) -> Collection[SessionId]:
        """Return those of the sessions that any of the servers uses in this way."""
        return {session_id for session_id in session_ids if any(in_use(session_id) for in_use in self._uses[use])}
