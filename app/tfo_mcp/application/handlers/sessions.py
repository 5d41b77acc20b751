"""SessionHandler: opens, confirms, finds and closes handshake-era sessions."""

from collections.abc import Callable
from dataclasses import dataclass

from tfo_mcp.application.commands import (
    CloseSession,
    ConfirmSession,
    DrainSession,
    InitializeSession,
    ReapSessions,
    SetLogLevel,
    SubscribeResource,
    UnsubscribeResource,
)
from tfo_mcp.application.ports import EventBus, SessionStore, StreamLog
from tfo_mcp.application.queries import GetSession
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.domain.accounts import is_anonymous
from tfo_mcp.domain.errors import SessionNotFound, SessionsExhausted, TooManySessions
from tfo_mcp.domain.events import SessionClosed
from tfo_mcp.domain.ids import SessionId, new_session_id
from tfo_mcp.domain.session import Session, SessionState

_CANDIDATES = 100  # sessions to check for one that is idle, before giving up


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Maximum sessions per account and in total; a quarter of the total is reserved for callers with credentials."""

    per_account: int
    total: int

    def capacity(self, *, anonymous: bool) -> int:
        """Return the total number of sessions at which an idle one must be closed before a new one is opened."""
        return self.total - self.total // 4 if anonymous else self.total


class SessionHandler:
    """Changes sessions in the store and publishes their events.

    In-process state that belongs to a session is released by listeners of SessionClosed.

    Args:
        in_use: returns whether a session is in use in this process, so that it must not be closed as idle.
    """

    def __init__(
        self,
        store: SessionStore,
        streams: StreamLog,
        events: EventBus,
        watched: WatchedResources,
        limits: SessionLimits,
        in_use: Callable[[SessionId], bool],
    ) -> None:
        self._store = store
        self._watched = watched
        self._streams = streams
        self._events = events
        self._limits = limits
        self._in_use = in_use

    async def initialize(self, command: InitializeSession) -> Session:
        """Open a session. At the limit, the least recently used idle session is closed first.

        Raises:
            TooManySessions: the account has too many sessions, and none of them is idle.
            SessionsExhausted: the server has too many sessions, and the largest account has no idle one.
        """
        await self._make_room(command.account)
        session = Session(new_session_id(), command.owner, command.account, command.standing)
        session.initialize(command.version, command.capabilities, command.client_name, command.client_version)
        await self._save(session)
        return session

    async def confirm(self, command: ConfirmSession) -> None:
        """Mark a session as ready.

        Raises:
            SessionNotFound: the session does not exist.
            InvalidTransition: the session is already ready or is closing.
        """
        session = await self._load(command.session_id)
        session.confirm()
        await self._save(session)

    async def get(self, query: GetSession) -> Session:
        """Return a session and restart its idle timeout.

        Raises:
            SessionNotFound: the session does not exist.
        """
        session = await self._store.get(query.session_id)
        if session is None:
            raise SessionNotFound
        return session

    async def drain(self, command: DrainSession) -> None:
        """Start closing a session, so that it accepts no more requests.

        Raises:
            SessionNotFound: the session does not exist.
        """
        session = await self._load(command.session_id)
        session.close()
        await self._save(session)

    async def close(self, command: CloseSession) -> None:
        """Close and delete a session with its streams; a no-op if it does not exist."""
        session = await self._store.get(command.session_id)
        if session is None:
            return
        if session.state is not SessionState.CLOSING:
            session.close()
        session.finish()
        await self._store.delete(session.id)
        await self._streams.forget(session.id)
        self._publish(session)

    async def reap(self, _command: ReapSessions) -> None:
        """Close the sessions whose idle timeout has expired."""
        for session_id in await self._store.reap():
            await self._streams.forget(session_id)
            self._events.publish(SessionClosed(session_id))

    async def set_log_level(self, command: SetLogLevel) -> None:
        """Store the client's log level in the session."""
        session = await self._load(command.session_id)
        session.log_level = command.level
        await self._save(session)

    async def subscribe(self, command: SubscribeResource) -> None:
        """Subscribe a session to a resource. The sender must check that the resource exists.

        Raises:
            OperationFailed: the resource cannot be watched.
        """
        account = (await self._load(command.session_id)).account
        await self._watched.hold(command.session_id, account, [command.uri])
        try:
            session = await self._load(command.session_id)  # reload: it may have ended meanwhile
        except SessionNotFound:
            self._watched.release(command.session_id)
            raise
        session.subscriptions.add(command.uri)
        await self._save(session)

    async def unsubscribe(self, command: UnsubscribeResource) -> None:
        """Unsubscribe a session from a resource; a no-op if it is not subscribed."""
        session = await self._load(command.session_id)
        session.subscriptions.discard(command.uri)
        self._watched.release(session.id, command.uri)
        await self._save(session)

    async def _make_room(self, account: str) -> None:
        limits = self._limits
        if await self._store.count(account) >= limits.per_account:
            if not await self._end_oldest_idle(account):
                raise TooManySessions(
                    f"You have {limits.per_account} sessions open, and none is idle: close one first "
                    "(setting mcp.max_sessions_per_caller; callers without credentials from one network count as one)"
                )
            return
        anonymous = is_anonymous(account)
        if await self._store.count() >= limits.capacity(anonymous=anonymous):
            largest = await self._store.largest_account(anonymous=anonymous)
            if largest is None or not await self._end_oldest_idle(largest):
                raise SessionsExhausted(
                    f"The server has {limits.total} sessions open, and none can be closed to make room: "
                    "try again later (setting mcp.max_sessions)"
                )

    async def _end_oldest_idle(self, account: str) -> bool:
        for session_id in await self._store.oldest_idle(account, _CANDIDATES):
            if not self._in_use(session_id):
                await self.close(CloseSession(session_id))
                return True
        return False

    async def _load(self, session_id: SessionId) -> Session:
        session = await self._store.get(session_id)
        if session is None:
            raise SessionNotFound
        return session

    async def _save(self, session: Session) -> None:
        await self._store.put(session)
        self._publish(session)

    def _publish(self, session: Session) -> None:
        for event in session.collect_events():
            self._events.publish(event)
