"""SessionHandler: opens, confirms, finds and closes handshake-era sessions."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress

from tfo_mcp.application.commands import (
    CloseSession,
    ConfirmSession,
    DrainSession,
    InitializeSession,
    ReapSessions,
    SetLogLevel,
    SubscribeResource,
    UnsubscribeResource,
    WatchSubscriptions,
)
from tfo_mcp.application.ports import EventBus, Room, SessionStore, StreamLog
from tfo_mcp.application.queries import GetSession
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.unit_of_work import ATTEMPTS, unit_of_work
from tfo_mcp.domain.accounts import is_anonymous
from tfo_mcp.domain.errors import (
    OperationFailed,
    RateLimited,
    SessionNotFound,
    SessionsExhausted,
    StateUnavailable,
    TooManySessions,
)
from tfo_mcp.domain.events import SessionClosed
from tfo_mcp.domain.ids import SessionId, new_session_id
from tfo_mcp.domain.session import Session, SessionState
from tfo_mcp.value_objects import value_object

_CANDIDATES = 100  # sessions to check for one that is idle, before giving up


@value_object
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
        used: returns those of some sessions that are in use in any process, so that they must not be closed as idle.
    """

    def __init__(
        self,
        store: SessionStore,
        streams: StreamLog,
        events: EventBus,
        watched: WatchedResources,
        limits: SessionLimits,
        used: Callable[[Sequence[SessionId]], Awaitable[Collection[SessionId]]],
    ) -> None:
        self._store = store
        self._watched = watched
        self._streams = streams
        self._events = events
        self._limits = limits
        self._used = used

    async def initialize(self, command: InitializeSession) -> Session:
        """Open a session. At the limit, the least recently used idle session is closed first.

        Raises:
            TooManySessions: the account has too many sessions, and none of them is idle.
            SessionsExhausted: the server has too many sessions, and the largest account has no idle one.
        """
        session = Session(new_session_id(), command.owner, command.account, command.standing)
        session.initialize(command.version, command.capabilities, command.client_name, command.client_version)
        if await self._add(session) is not Room.FREE:
            await self.reap(ReapSessions())
            await self._add_in_place_of_idle(session)
        self._publish(session)
        return session

    async def confirm(self, command: ConfirmSession) -> None:
        """Mark a session as ready.

        Raises:
            SessionNotFound: the session does not exist.
            InvalidTransition: the session is already ready or is closing.
        """
        await self._change(command.session_id, Session.confirm)

    async def get(self, query: GetSession) -> Session:
        """Return a session and restart its idle timeout.

        The resources to which it subscribed in an earlier process are watched again.

        Raises:
            SessionNotFound: the session does not exist.
        """
        session = await self._load(query.session_id)
        if session.subscriptions:
            await self._watched.resume(session.id, session.account, session.subscriptions)
        return session

    async def drain(self, command: DrainSession) -> None:
        """Start closing a session, so that it accepts no more requests.

        Raises:
            SessionNotFound: the session does not exist.
        """
        await self._change(command.session_id, Session.close)

    async def close(self, command: CloseSession) -> None:
        """Close and delete a session with its streams; a no-op if it does not exist."""
        await self._close(command.session_id)

    async def _close(self, session_id: SessionId) -> bool:
        """Close and delete a session; return False if it does not exist, for example since another replica ended it."""
        session = await self._store.get(session_id)
        if session is None:
            return False
        if session.state is not SessionState.CLOSING:
            session.close()
        session.finish()
        await self._store.delete(session.id, session.events)
        try:
            await self._streams.forget(session.id)
        finally:
            self._publish(session)
        return True

    async def reap(self, _command: ReapSessions) -> None:
        """Close the sessions whose idle timeout has expired."""
        for session_id in await self._store.reap():
            try:
                await self._streams.forget(session_id)
            finally:
                self._events.publish(SessionClosed(session_id))

    async def set_log_level(self, command: SetLogLevel) -> None:
        """Store the client's log level in the session."""

        def set_level(session: Session) -> None:
            session.log_level = command.level

        await self._change(command.session_id, set_level)

    async def subscribe(self, command: SubscribeResource) -> None:
        """Subscribe a session to a resource. The sender must check that the resource exists.

        Raises:
            OperationFailed: the resource cannot be watched.
        """
        session = await self._load(command.session_id)
        await self._watched.hold(session.id, session.account, [command.uri])
        try:
            await self._change(session.id, lambda changed: changed.subscriptions.add(command.uri))
        except SessionNotFound:  # it has ended meanwhile
            self._watched.release(session.id)
            raise
        except StateUnavailable:
            if command.uri not in session.subscriptions:
                self._watched.release(session.id, command.uri)
            raise

    async def watch_subscriptions(self, command: WatchSubscriptions) -> None:
        """Watch the resources that a session has subscribed to, as far as they can be watched."""
        session = await self._load(command.session_id)
        for uri in sorted(session.subscriptions):
            with suppress(OperationFailed, RateLimited):
                await self._watched.hold(session.id, session.account, [uri])

    async def unsubscribe(self, command: UnsubscribeResource) -> None:
        """Unsubscribe a session from a resource; a no-op if it is not subscribed."""
        await self._change(command.session_id, lambda session: session.subscriptions.discard(command.uri))
        self._watched.release(command.session_id, command.uri)

    async def _add(self, session: Session) -> Room:
        limits = self._limits
        capacity = limits.capacity(anonymous=is_anonymous(session.account))
        return await self._store.add(session, limits.per_account, capacity)

    async def _add_in_place_of_idle(self, session: Session) -> None:
        for _ in range(ATTEMPTS):  # other replicas may take the room that was made
            room = await self._add(session)
            if room is Room.FREE:
                return
            await self._make_room(room, session.account)
        raise StateUnavailable

    async def _make_room(self, room: Room, account: str) -> None:
        limits = self._limits
        if room is Room.ACCOUNT:
            if not await self._end_oldest_idle(account):
                raise TooManySessions(
                    f"You have {limits.per_account} sessions open, and none is idle: close one first "
                    "(setting mcp.max_sessions_per_caller; callers without credentials from one network count as one)"
                )
            return
        largest = await self._store.largest_account(anonymous=is_anonymous(account))
        if largest is None or not await self._end_oldest_idle(largest):
            raise SessionsExhausted(
                f"The server has {limits.total} sessions open, and none can be closed to make room: "
                "try again later (setting mcp.max_sessions)"
            )

    async def _end_oldest_idle(self, account: str) -> bool:
        candidates = await self._store.oldest_idle(account, _CANDIDATES)
        used = await self._used(candidates)
        idle = [session_id for session_id in candidates if session_id not in used]
        for session_id in idle:
            if await self._close(session_id):
                break
        return bool(idle)  # if other replicas have ended all of them, there may be room

    async def _load(self, session_id: SessionId) -> Session:
        session = await self._store.get(session_id)
        if session is None:
            raise SessionNotFound
        return session

    async def _change(self, session_id: SessionId, change: Callable[[Session], object]) -> None:
        """Load, change and store a session.

        Raises:
            SessionNotFound: the session does not exist.
            Conflict: others have changed it again and again.
        """

        async def work() -> Session:
            session = await self._load(session_id)
            change(session)
            await self._store.put(session)
            return session

        self._publish(await unit_of_work(work))

    def _publish(self, session: Session) -> None:
        for event in session.collect_events():
            self._events.publish(event)
