"""SqlSessionStore: sessions that survive the process, in a database and in its memory.

Each change is written before it counts. Reading needs no database: the sessions in use are in memory, too, and only the
times of their last use are written, together, every few seconds. Sessions that end with their connection are in memory
only. Serves one process: another one sees a change when it loads the session, and not earlier.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, bindparam, delete, insert, select, update

from tfo_mcp.application.event_recorder import EventRecorder
from tfo_mcp.application.ports import RecordedEvent, Room, SessionStore
from tfo_mcp.domain.errors import Conflict, SessionNotFound, StorageUnavailable
from tfo_mcp.domain.events import DomainEvent, SessionClosed
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.outbox import insert_events
from tfo_mcp.infrastructure.storage.tables import DatabaseTime, sessions

_WRITTEN_AT_ONCE = 1000


class LocalSessions(SessionStore, Protocol):
    """A store in the memory of this process."""

    def restore(self, found: Iterable[tuple[Session, float]]) -> None:
        """Add sessions that are not in the store, each with its idle seconds, the latest used first."""


class SqlSessionStore:
    """The sessions in a database.

    Args:
        local: the sessions that are in use in this process.
        idle_seconds: the idle timeout.
        recorder: records the events; None if the outbox is not in the database.
    """

    def __init__(
        self,
        local: LocalSessions,
        database: Database,
        idle_seconds: float,
        recorder: EventRecorder | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._local = local
        self._database = database
        self._idle_seconds = idle_seconds
        self._recorder = recorder
        self._clock = clock
        self._used: dict[SessionId, float] = {}
        self._is_restored = False

    async def get(self, session_id: SessionId) -> Session | None:
        """Return a copy of the session and restart its idle timeout.

        Raises:
            StorageUnavailable: the session is not in memory, and the database cannot be read.
        """
        session = await self._local.get(session_id)
        if session is None:
            session = await self._database.read(partial(self._find, session_id))
            if session is None:
                return None
            now_local = await self._local.get(session_id)  # loaded, and perhaps changed, by another request meanwhile
            if now_local is None:
                await self._local.put(session)
            else:
                session = now_local
        if session.standing:
            return session
        self._used[session_id] = self._clock()
        return session.copy()

    async def add(self, session: Session, per_account: int, total: int) -> Room:
        """Store a new session if the limits of its account and of all allow it.

        Raises:
            StorageUnavailable: the database cannot be written.
        """
        room = await self._local.add(session, per_account, total)
        if room is Room.FREE and not session.standing:
            try:
                await self.put(session)
            except BaseException:
                await self._local.delete(session.id)
                raise
        return room

    async def put(self, session: Session) -> None:
        """Store the session, and its events in the same transaction.

        Raises:
            Conflict: the session was changed since it was loaded.
            SessionNotFound: it was deleted since.
            StorageUnavailable: the database cannot be written.
        """
        if session.standing:
            self._record(session.events)
        else:
            try:
                await self._database.write(partial(_store, session, self._records(session.events)))
            except (Conflict, SessionNotFound):
                await self._local.delete(session.id)  # it is loaded again
                raise
            session.edition += 1
            session = session.copy()
        await self._local.put(session)

    async def delete(self, session_id: SessionId, events: Sequence[DomainEvent] = ()) -> None:
        """Delete the session, and store its last events in the same transaction; a no-op if it is unknown.

        Raises:
            StorageUnavailable: the database cannot be written.
        """
        session = await self._local.get(session_id)
        if session is not None and session.standing:
            self._record(events)
        else:
            await self._database.write(partial(_delete, session_id, self._records(events)))
        self._used.pop(session_id, None)
        await self._local.delete(session_id)

    async def count(self, account: str | None = None) -> int:
        """Return the number of sessions, of one account if given."""
        return await self._local.count(account)

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions, only among anonymous ones if `anonymous`; None without any."""
        return await self._local.largest_account(anonymous=anonymous)

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return up to `limit` sessions of an account that have no connection, longest idle first."""
        return await self._local.oldest_idle(account, limit)

    async def reap(self) -> Sequence[SessionId]:
        """Remove the expired sessions and return their ids; `purge` deletes them in the database."""
        expired = await self._local.reap()
        for session_id in expired:
            self._used.pop(session_id, None)
        return expired

    async def restore(self) -> None:
        """Load the sessions of an earlier process, so that they count; a no-op after the first success.

        Raises:
            StorageUnavailable: the database cannot be read.
        """
        if self._is_restored:
            return
        rows = await self._database.rows(self._unexpired().order_by(sessions.c.used.desc()))
        self._local.restore((_session(row), row["idle"]) for row in rows)
        self._is_restored = True

    async def flush(self) -> None:
        """Write the times of the last uses since the last time.

        Raises:
            StorageUnavailable: the database cannot be written; the times are kept.
        """
        used, self._used = self._used, {}
        now = self._clock()
        latest = update(sessions).where(sessions.c.id == bindparam("key"))
        statement = latest.values(used=DatabaseTime() - bindparam("idle"))
        try:
            pending = iter(used.items())
            while rows := [{"key": key, "idle": now - at} for key, at in islice(pending, _WRITTEN_AT_ONCE)]:
                await self._database.execute(statement, rows)
        except StorageUnavailable:
            self._used = {**used, **self._used}
            raise

    async def purge(self, grace_seconds: float) -> None:
        """Delete the sessions that have been idle for longer than the timeout and `grace_seconds`; record their ends.

        The times of the last uses are written first, so that none is deleted that is in use here.

        Raises:
            StorageUnavailable: the database cannot be written.
        """
        await self.flush()
        expired = sessions.c.used < DatabaseTime() - (self._idle_seconds + grace_seconds)
        statement = delete(sessions).where(expired).returning(sessions.c.id)

        def change(connection: Connection) -> None:
            ended = connection.execute(statement).scalars().all()
            insert_events(self._records([SessionClosed(SessionId(each)) for each in ended]), connection)

        await self._database.write(change)

    def _records(self, events: Sequence[DomainEvent]) -> Sequence[RecordedEvent]:
        return () if self._recorder is None else self._recorder.records.of_all(events)

    def _record(self, events: Sequence[DomainEvent]) -> None:
        if self._recorder is not None:
            for event in events:
                self._recorder.record(event)

    def _find(self, session_id: SessionId, connection: Connection) -> Session | None:
        found = connection.execute(self._unexpired().where(_is(session_id)))
        row = found.mappings().one_or_none()
        return None if row is None else _session(row)

    def _unexpired(self) -> Select[Any]:
        idle = (DatabaseTime() - sessions.c.used).label("idle")
        return select(sessions.c.document, sessions.c.version, idle).where(
            sessions.c.used >= DatabaseTime() - self._idle_seconds
        )


def _is(session_id: SessionId) -> ColumnElement[bool]:
    return sessions.c.id == session_id


# Statements with parameters, built once: building one takes longer than its execution.
_BY_KEY = sessions.c.id == bindparam("key")
_CHANGED = {"used": DatabaseTime(), "version": bindparam("edition"), "document": bindparam("content")}
_INSERT = insert(sessions).values(id=bindparam("key"), **_CHANGED)
_UPDATE = update(sessions).where(_BY_KEY, sessions.c.version == bindparam("before")).values(_CHANGED)
_DELETE = delete(sessions).where(_BY_KEY)
_EXISTS = select(sessions.c.id).where(_BY_KEY)


def _delete(session_id: SessionId, events: Sequence[RecordedEvent], connection: Connection) -> None:
    if connection.execute(_DELETE, {"key": session_id}).rowcount:
        insert_events(events, connection)


def _store(session: Session, events: Sequence[RecordedEvent], connection: Connection) -> None:
    before = session.edition
    values = {"key": session.id, "edition": before + 1, "content": session.document()}
    if before == 0:
        connection.execute(_INSERT, values)
        insert_events(events, connection)
        return
    if connection.execute(_UPDATE, {**values, "before": before}).rowcount != 1:
        exists = connection.execute(_EXISTS, {"key": session.id}).first() is not None
        raise Conflict if exists else SessionNotFound
    insert_events(events, connection)  # after the update, which waits for changes before: positions are in order


def _session(row: RowMapping) -> Session:
    session = Session.from_document(row["document"])
    session.edition = row["version"]
    return session
